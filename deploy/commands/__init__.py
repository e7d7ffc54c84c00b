"""What a person types and sees: the options, the tables, and each command of `deploy`."""
