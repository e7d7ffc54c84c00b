"""Encoders on torch and OpenVINO, one that computes nothing, and the making of graphs."""
