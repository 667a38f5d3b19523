"""Boot mode: the request comes from a provisioning system, and the status goes back to it."""
