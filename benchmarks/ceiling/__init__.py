"""What the way before the encoder can do when the encoder costs nothing."""
