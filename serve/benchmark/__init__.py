"""The commands `sweetspot benchmark ...`."""
