"""The services that are measured side by side: ours, and what others run instead."""
