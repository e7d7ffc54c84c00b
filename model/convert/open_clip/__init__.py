"""What all of open_clip's checkpoints share: names on the hub, settings, files."""
