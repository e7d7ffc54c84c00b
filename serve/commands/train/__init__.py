"""`sweetspot train`: fine-tunes a checkpoint on pairs of image and text."""
