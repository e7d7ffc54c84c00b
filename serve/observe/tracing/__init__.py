"""OpenTelemetry: spans of requests, their stages and batches. Imported only where it is on."""
