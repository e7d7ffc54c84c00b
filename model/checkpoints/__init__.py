"""Find a checkpoint, verify its files, read its configuration, tokenise."""
