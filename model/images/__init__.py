"""Decoding and preprocessing of images to the pixels that an encoder takes."""
