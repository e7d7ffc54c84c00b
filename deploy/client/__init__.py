"""The client for applications: a long list of thumbnails in, results in order out."""
