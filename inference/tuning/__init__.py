"""Measure the latency curve, choose the batch size, share the cores."""
