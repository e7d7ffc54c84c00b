"""The training of the built-in model, and what its retrieval is worth."""
