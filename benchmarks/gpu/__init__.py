"""Checks and measurements for a machine with a CUDA card: `python -m benchmarks.gpu`."""
