"""The names of media types and headers of docs/protocol.md."""

JSON = "application/json"
JSON_LINES = "application/jsonlines"
# JSON Lines has no registered type; clients use any of these.
JSON_LINES_TYPES = (
    JSON_LINES,
    "application/jsonl",
    "application/x-ndjson",
    "application/x-jsonlines",
)
CSV = "text/csv"
NPY = "application/x-npy"
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# A caller of OpenAI's API who allows it gets null in the place of a failed item.
PARTIAL = "X-Sweetspot-Partial"
