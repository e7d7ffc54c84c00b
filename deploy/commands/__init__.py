"""The commands of `deploy`: their options, and what they print."""
