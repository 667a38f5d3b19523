"""Fetching: an image from its URL into memory, checked while it comes."""
