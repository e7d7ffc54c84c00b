"""`benchmark endpoint --interactive-sweep`: query latency against bulk throughput, by setting."""
