"""An output as a table of Lance, which grows while the job runs."""
