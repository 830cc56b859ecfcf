"""The tests; hypothesis must not fail here for being slow on a busy machine."""

from hypothesis import HealthCheck, settings

from tests.rigs.examples import examples

settings.register_profile(
    "subproxy",
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("subproxy")
