"""`sweetspot embed`: the pipeline of the service, without the server."""
