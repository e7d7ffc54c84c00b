"""What a model finds of pairs that it has not learned from."""
