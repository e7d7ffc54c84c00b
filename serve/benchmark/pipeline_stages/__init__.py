"""`benchmark pipeline`: how busy each stage is, and which one is the bottleneck."""
