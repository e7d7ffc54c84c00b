"""`benchmark encoder`: the latency curve of each tower, and the sweet spot on it."""
