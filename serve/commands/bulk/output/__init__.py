"""The output of a job: files of parts, with a row for each row of the input."""
