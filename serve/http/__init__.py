"""The HTTP server: gunicorn worker, Flask app, bodies, `/invocations`, multi-model API."""
