"""URLs to bytes: over HTTP, from S3 or out of the URL itself, from allowed hosts only."""
