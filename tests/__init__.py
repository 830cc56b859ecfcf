"""The tests; hypothesis must not fail here for being slow on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("subproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("subproxy")
