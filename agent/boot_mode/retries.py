"""How long boot mode waits for its provisioning system."""

from agent.fetch.retry import RetryPolicy

REQUEST_RETRIES = RetryPolicy(
    retries=1000, max_delay=10.0, silence_limit=1800.0, connect_timeout=5.0, answer_timeout=30.0
)
"""For half an hour: the network comes up late, and a hundred servers may ask at once."""

POST_TIMES = RetryPolicy(connect_timeout=5.0, answer_timeout=10.0, stall_timeout=10.0, max_delay=10.0)
"""One post of a status. How often it is tried again is up to who posts."""
