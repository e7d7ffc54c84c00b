"""A load generator, a local thumbnail server for it, and a summary of the results."""
