"""Hundreds of clients on one thread, and a prober of pings, each in a process of its own."""
