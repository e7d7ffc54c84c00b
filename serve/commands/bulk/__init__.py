"""A job over tables of any number of URLs: parts in, embeddings of each part out, resumable."""
