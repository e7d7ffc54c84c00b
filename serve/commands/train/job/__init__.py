"""SageMaker's training contract: a job's folder to runs of `train`, and their end to the job's."""
