"""The containers that are compared: Sweetspot and others."""
