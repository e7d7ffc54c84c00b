"""The commands that run without a server: embed, check, export, quantize."""
