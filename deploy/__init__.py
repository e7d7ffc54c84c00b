"""From a checkpoint to a SageMaker endpoint that scales, and back to nothing."""
