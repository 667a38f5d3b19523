"""Settings for every test."""

from hypothesis import settings

# A busy machine must not fail a property that holds.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
