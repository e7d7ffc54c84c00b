"""The towers of each family of checkpoints, as modules of torch."""
