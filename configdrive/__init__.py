"""What cloud-init reads: the metadata and the file system that carries it."""
