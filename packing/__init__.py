"""How the wheel is built. Not part of it."""
