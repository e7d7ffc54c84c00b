"""Which items are encoded next, in batches of which size, and the forward pass itself."""
