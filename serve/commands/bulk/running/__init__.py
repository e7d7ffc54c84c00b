"""Ways to run a job, and how far it is: in this process, or on a Ray cluster."""
