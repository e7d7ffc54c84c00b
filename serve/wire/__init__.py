"""Bytes to items, and results to bytes, by content type. Pure."""
