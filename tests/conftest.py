"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

# No deadline: how long an example takes says something about the machine, not about gilplan.
settings.register_profile(
    "gilplan", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gilplan")
