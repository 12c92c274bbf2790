"""The commands on a real broker: topics, sending, tapping, the workers of a machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iskra.apps.processes import Started, started_at
from schemas.topics import ALL

from .processes import environment, eventually, iskra

EXAMPLE = '{"delta": "connection_failed", "dimension": 3, "omega": 0.8, "lambda": "wait", "fractal_metadata": {}}'


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def settings(broker: str) -> dict[str, str]:
    return {"ISKRA_KAFKA__BOOTSTRAP": broker, "ISKRA_KAFKA__TOPIC_PREFIX": f"cli{time.monotonic_ns()}"}


@pytest.fixture
def prefix(settings: dict[str, str]) -> str:
    return settings["ISKRA_KAFKA__TOPIC_PREFIX"]


def test_topics_are_planned_created_once_and_repaired(settings: dict[str, str], prefix: str) -> None:
    assert iskra("topics", "plan", "--check", settings=settings).returncode == 1
    dry = iskra("topics", "apply", "--partitions", "2", "--dry-run", "--json", settings=settings)
    assert {line["action"] for line in lines(dry.stdout)} == {"create"}
    assert iskra("topics", "plan", "--check", settings=settings).returncode == 1
    made = iskra("topics", "apply", "--partitions", "2", "--json", settings=settings)
    assert {line["topic"]: line["partitions"] for line in lines(made.stdout)} == {
        f"{prefix}.{topic.name}": min(topic.partitions, 2) for topic in ALL
    }
    again = iskra("topics", "apply", "--partitions", "2", "--json", settings=settings)
    assert {line["action"] for line in lines(again.stdout)} == {"keep"}
    more = iskra("topics", "apply", "--partitions", "3", settings=settings)
    assert (more.returncode, more.stderr) == (
        1,
        f"iskra: {prefix}.events.v1 keeps its 2 partitions: leave --partitions out, or set kafka.topic_prefix\n",
    )
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    admin = KafkaAdminClient(bootstrap_servers=settings["ISKRA_KAFKA__BOOTSTRAP"])
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{prefix}.voices.v1", {"retention.ms": "7"})])
    admin.close()
    repair = iskra("topics", "apply", "--json", settings=settings)
    changed = [(line["topic"], line["config"]) for line in lines(repair.stdout) if line["action"] == "change"]
    assert changed == [(f"{prefix}.voices.v1", {"retention.ms": "2592000000"})]
    assert iskra("topics", "plan", "--check", settings=settings).returncode == 0


def test_what_is_sent_can_be_tapped(settings: dict[str, str], prefix: str) -> None:
    early = iskra("event", "send", "-", "--key", "c-1", settings=settings, stdin=EXAMPLE)
    assert (early.returncode, early.stderr) == (
        1, f"iskra: the cluster has no topic {prefix}.events.v1: iskra topics apply\n",
    )  # fmt: skip
    iskra("topics", "apply", "--partitions", "2", settings=settings)
    sent = iskra("event", "send", "-", "--key", "c-1", "--json", settings=settings, stdin=f"{EXAMPLE}\nno json\n")
    assert sent.stderr == f"sent 2 to {prefix}.events.v1\n"
    places = [(line["partition"], line["offset"]) for line in lines(sent.stdout)]
    tapped = lines(iskra("tap", "events", "--from-beginning", "--json", "-n", "2", settings=settings).stdout)
    assert [(line["partition"], line["offset"], line["key"], line["value"]) for line in tapped] == [
        (*places[0], "c-1", json.loads(EXAMPLE)),
        (*places[1], "c-1", "no json"),
    ]
    since = lines(iskra("tap", "events", "--since", "1h", "--json", "--wait", "1s", settings=settings).stdout)
    assert since == tapped
    assert iskra("tap", "events", "--wait", "300ms", settings=settings).stdout == ""
    quiet = iskra("tap", "voices", "--from-beginning", "--wait", "300ms", settings=settings)
    assert (quiet.returncode, quiet.stdout) == (0, "")


def test_a_tap_without_a_start_shows_what_comes_from_now_on(settings: dict[str, str]) -> None:
    iskra("topics", "apply", "--partitions", "1", settings=settings)
    iskra("event", "send", "-", "--key", "before", settings=settings, stdin=EXAMPLE)
    command = [sys.executable, "-m", "iskra.commands.main", "tap", "events", "--json", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(settings)) as tap:
        for number in range(60):
            iskra("event", "send", "-", "--key", f"after-{number}", settings=settings, stdin=EXAMPLE)
            if tap.poll() is not None:
                break
        assert tap.stdout is not None
        assert json.loads(tap.stdout.read())["key"].startswith("after-")
        assert tap.wait(10) == 0


@pytest.fixture
def workers(settings: dict[str, str], tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """The five workers, started by ``iskra up``."""
    iskra("topics", "apply", "--partitions", "2", settings=settings)
    up = subprocess.run(
        [sys.executable, "-m", "iskra.commands.main", "up", "--free-ports", "--json"],
        env=environment(settings), capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    try:
        assert up.returncode == 0, up.stderr
        yield lines(up.stdout)
    finally:
        iskra("down", settings=settings, cwd=tmp_path)


def test_up_status_and_down(
    settings: dict[str, str], prefix: str, workers: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert [(line["name"], line["running"], line["ready"]) for line in workers] == [
        (name, True, True) for name in ("dispatcher-0", "rollup-0", "router-0", "scorer-0", "scorer-1")
    ]
    processes = [Started(line["pid"], started_at(line["pid"]) or "") for line in workers]
    status = iskra("status", "--json", settings=settings, cwd=tmp_path)
    assert (status.returncode, lines(status.stdout)) == (0, workers)
    iskra("event", "send", "-", "--key", "c-1", settings=settings, stdin="\n".join([EXAMPLE] * 10))
    voice = iskra("tap", "voices", "--from-beginning", "--json", "-n", "1", settings=settings)
    said = lines(voice.stdout)[0]
    assert (said["topic"], said["key"], said["value"]["voice"]) == (f"{prefix}.voices.v1", "connection:c-1", "Alarm")
    victim = next(line for line in workers if line["name"] == "router-0")
    os.kill(victim["pid"], 9)
    eventually(lambda: started_at(victim["pid"]) is None, within_s=10, what="the killed router is gone")
    wounded = iskra("status", "--json", settings=settings, cwd=tmp_path)
    assert wounded.returncode == 1
    assert {line["name"] for line in lines(wounded.stdout) if not line["running"]} == {"router-0"}
    down = iskra("down", "--json", settings=settings, cwd=tmp_path)
    assert lines(down.stdout) == [{"ended": ["dispatcher-0", "rollup-0", "scorer-0", "scorer-1"]}]
    assert [process for process in processes if started_at(process.pid) == process.start] == []
    assert sorted(path.suffix for path in (tmp_path / ".iskra" / "run").iterdir()) == [".log"] * 5


def test_up_without_topics_starts_nothing(settings: dict[str, str], tmp_path: Path) -> None:
    answer = iskra("up", settings=settings, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("iskra: the cluster has no topic ")
    assert not (tmp_path / ".iskra").exists()


def test_up_names_a_worker_that_ends_and_why(settings: dict[str, str], tmp_path: Path) -> None:
    iskra("topics", "apply", "--partitions", "1", settings=settings)
    broken = {**settings, "ISKRA_SCORING__REGISTRY_FILE": "no.toml"}
    answer = iskra("up", "--free-ports", settings=broken, cwd=tmp_path)
    iskra("down", settings=settings, cwd=tmp_path)
    assert answer.returncode == 1
    assert "ended at once: iskra: scoring.registry_file: no.toml: " in answer.stderr
