"""What happens to a request, from its admission to its last result."""
