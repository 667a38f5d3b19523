"""Builds what is handed out: the single file and the Debian package, with all that the agent depends on."""
