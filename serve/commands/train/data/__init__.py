"""The rows of a training set: where each image is, and its captions; no pixels yet."""
