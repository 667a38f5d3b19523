"""What a deployment tells, and those who listen to it."""
