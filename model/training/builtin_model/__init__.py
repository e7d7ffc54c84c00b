"""The training of the built-in model: its pictures, captions, tokenizer and search."""
