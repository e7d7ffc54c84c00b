"""From a checkpoint to a running endpoint, and from an application to its answers."""
