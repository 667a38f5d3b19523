"""Cloud images: what format a file really has, what is in it, and whether it may be written."""
