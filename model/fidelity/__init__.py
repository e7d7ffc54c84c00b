"""Agreement with transformers, and int8 within it."""
