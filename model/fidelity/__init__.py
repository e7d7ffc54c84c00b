"""Parity with transformers, and quantization to int8."""
