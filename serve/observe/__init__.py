"""Metrics, the log, and the test of the service by itself."""
