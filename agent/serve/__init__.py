"""The three calls over HTTP, and the page to watch a deployment with."""
