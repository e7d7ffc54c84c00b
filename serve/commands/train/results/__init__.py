"""What came of a training: a table, a page, and training.json."""
