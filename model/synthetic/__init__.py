"""Thumbnails of user interfaces, drawn from a seed, with captions."""
