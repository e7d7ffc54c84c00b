"""From a checkpoint to an endpoint that scales, and from an application to its answers."""
