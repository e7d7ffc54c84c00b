"""Checkpoints with the names of OpenAI's CLIP: its own files, and open_clip's."""
