"""Training of the built-in model, and evaluation of its retrieval."""
