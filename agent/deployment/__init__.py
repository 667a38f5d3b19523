"""The deployment itself: what is planned, the order of the steps, and what a failure means."""
