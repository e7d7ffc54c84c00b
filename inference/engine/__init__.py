"""The engine: carries a request from its admission to its last result."""
