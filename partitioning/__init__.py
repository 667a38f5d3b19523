"""Disks and what stands on them. Knows nothing of requests, HTTP or messages."""
