"""Benchmarks that compare variants in one run; `make benchmark`."""
