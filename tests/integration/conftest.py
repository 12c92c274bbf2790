"""A real broker for the tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from iskra.apps.broker import Broker, missing_tool, start, stop

__all__ = ["broker", "broker_process"]


@pytest.fixture(scope="session")
def broker_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Apache Kafka for the whole run, ended after it (and with this process, should it die)."""
    reason = missing_tool()
    if reason is not None:
        if "java" in os.environ.get("ISKRA_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    directory: Path = tmp_path_factory.mktemp("broker")
    running = start(directory, tied=True)
    yield running
    stop(directory)


@pytest.fixture(scope="session")
def broker(broker_process: Broker) -> str:
    """Its address."""
    return broker_process.bootstrap
