"""Images to pixels: fetches, decodes and resizes, in threads or in processes of their own."""
