"""Transports to an endpoint: by its URL, or by its name through SageMaker's runtime."""
