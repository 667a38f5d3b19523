"""Measurements of the agent beside what else puts an image onto a disk: `make bench`."""
