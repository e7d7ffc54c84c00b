"""Converts checkpoints of other layouts to transformers', and compares them with their source."""
