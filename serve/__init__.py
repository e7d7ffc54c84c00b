"""The SageMaker HTTP contract, settings from the environment and the command line."""
