"""Parts to embeddings by one engine: several parts at once, so that it never runs dry."""
