"""Whether this system can carry out a deployment: what is there, what is missing, and how to get it."""
