"""The commands `sweetspot benchmark ...`: measure, explain, show, keep."""
