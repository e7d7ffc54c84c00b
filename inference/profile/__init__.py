"""The latency curve, its sweet spot, the file that stores both, and this machine's resources."""
