"""Encoded bytes to the pixels that an encoder reads."""
