"""A checkpoint in, embeddings out. The only package that imports torch and transformers."""
