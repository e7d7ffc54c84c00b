"""`benchmark compare`: documents of any benchmark side by side, and the best by each question."""
