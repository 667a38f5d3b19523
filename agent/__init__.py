"""The deployment: from a request to a server that runs the image."""
