"""The pixels of rows, fetched and decoded as in serving, in a file on disk."""
