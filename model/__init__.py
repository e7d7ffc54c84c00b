"""From a checkpoint to embeddings. The only package that imports torch and transformers."""
