"""`benchmark endpoint`: load on a running endpoint, by batch size and concurrency."""
