"""Tables that commands read: Parquet, JSON Lines, CSV and lines, on a disk or in S3."""
