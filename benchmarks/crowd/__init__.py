"""Hundreds of clients on one thread, and a sender of pings, in processes of their own."""
