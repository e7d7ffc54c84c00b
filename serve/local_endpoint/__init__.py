"""SageMaker's runtime API on a laptop: real time, streaming, asynchronous."""
