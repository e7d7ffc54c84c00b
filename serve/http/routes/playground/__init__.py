"""`--playground`: a page to try the model in a browser. Its files are in `page/`."""
