"""The deployment request: its fields, its rules, and how it is read."""
