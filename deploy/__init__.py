"""Deploys a checkpoint as a scaling SageMaker endpoint, and a client for applications."""
