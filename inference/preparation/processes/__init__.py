"""Prepares images in processes of their own, which a fork server starts."""
