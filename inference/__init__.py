"""Items in, results out: fetch, preprocess in parallel, batch, encode. NumPy only."""
