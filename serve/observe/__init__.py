"""Metrics, the log, and the self-test."""
