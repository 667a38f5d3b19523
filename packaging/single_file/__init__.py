"""Starts byoi-agent from its single file: what lies at the file's top, beside the packed contents."""
