"""The input of a job: which files, how they divide into parts, and the rows of a part."""
