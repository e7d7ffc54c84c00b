"""The latency curve, the sweet spot on it, the file that keeps both, and the machine. Pure."""
