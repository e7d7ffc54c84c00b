"""Metrics for CloudWatch, which cannot read `/metrics` of a container inside SageMaker."""
