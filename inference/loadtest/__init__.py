"""Load on a service, a local server of thumbnails for it, and a summary of what came of it."""
