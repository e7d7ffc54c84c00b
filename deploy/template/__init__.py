"""Everything that is sent to AWS, built by pure functions."""
