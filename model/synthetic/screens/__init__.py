"""The drawing of generated interface thumbnails: canvas, parts, and one function per kind."""
