"""What holds for the whole run: Hypothesis profiles, which tests need Kafka, the environment they all start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=500, deadline=None, print_blob=True)
settings.register_profile("soak", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("ISKRA_TEST_PROFILE", "ci" if os.environ.get("CI") else "dev"))

_INTEGRATION = Path(__file__).parent / "integration"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for the broker, or lies in ``integration``, needs Kafka."""
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()) or _INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own ISKRA_* variables change no test."""
    for name in list(os.environ):
        if name.startswith("ISKRA_") and not name.startswith(("ISKRA_TEST_", "ISKRA_REQUIRE")):
            monkeypatch.delenv(name)
