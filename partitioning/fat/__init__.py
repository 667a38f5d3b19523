"""FAT file systems: read, made, and made anew; nothing is mounted."""
