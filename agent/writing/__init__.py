"""From the image to the disk."""
