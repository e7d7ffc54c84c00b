"""The check for a machine with a CUDA card, in minutes: `python -m benchmarks.gpu`."""
