"""Charts, tables and pages that the benchmarks share."""
