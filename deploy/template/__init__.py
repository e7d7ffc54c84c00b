"""All that AWS will read, made by pure functions."""
