"""Sockets, the worker, Flask, bodies, `/invocations`, the multi-model API."""
