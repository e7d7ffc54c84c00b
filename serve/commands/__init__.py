"""The commands that serve nothing: embed, check, export, quantize."""
