"""The local broker for real: started, found, stopped; and what happens when something is in its way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from iskra.apps import broker as brokers
from iskra.apps.processes import Started, alive, read_started, started_at

from .processes import ROOT, iskra


@pytest.fixture
def needs_kafka() -> None:
    reason = brokers.missing_tool()
    if reason is not None:
        if "java" in os.environ.get("ISKRA_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.usefixtures("needs_kafka")
def test_a_broker_is_started_found_again_and_ended_exactly(tmp_path: Path) -> None:
    brokers.fetch()
    began = time.monotonic()
    started = iskra("broker", "start", "--dir", str(tmp_path / "b"), "--json", settings={}, cwd=tmp_path)
    seconds = time.monotonic() - began
    assert started.returncode == 0, started.stderr
    said = json.loads(started.stdout)
    try:
        assert said == {"bootstrap": said["bootstrap"], "pid": said["pid"], "dir": str(tmp_path / "b")}
        assert re.fullmatch(r"127\.0\.0\.1:\d+", said["bootstrap"])
        kept = read_started(tmp_path / "b" / "broker.json")
        assert kept is not None
        assert alive(kept[0])
        again = iskra("broker", "start", "--dir", "b", "--json", settings={}, cwd=tmp_path)
        assert json.loads(again.stdout) == said
        status = iskra("broker", "status", "--dir", "b", "--json", settings={}, cwd=tmp_path)
        assert json.loads(status.stdout) == said
        other = iskra("broker", "start", "--dir", "b", "--port", "1", settings={}, cwd=tmp_path)
        assert (other.returncode, "end it first" in other.stderr) == (3, True)
        assert {path.name for path in (tmp_path / "b").iterdir()} == {
            "broker.json", "console.log", "data", "kafka.log", "lock", "server.properties",
        }  # fmt: skip
    finally:
        stopped = iskra("broker", "stop", "--dir", "b", "--json", settings={}, cwd=tmp_path)
    assert json.loads(stopped.stdout) == {"stopped": True, "dir": str(tmp_path / "b")}
    assert not alive(Started(said["pid"], kept[0].start))
    host, port = said["bootstrap"].split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=1).close()
    assert seconds < 20  # 10 s on a machine of its own; here others run beside it


@pytest.mark.usefixtures("needs_kafka")
def test_commands_find_the_broker_of_their_directory_by_themselves(tmp_path: Path) -> None:
    started = brokers.start(tmp_path / ".iskra" / "broker", tied=True)
    try:
        shown = iskra("config", "show", "--origin", "--json", settings={}, cwd=tmp_path)
        assert json.loads(shown.stdout)["kafka.bootstrap"] == {"value": started.bootstrap, "origin": ".iskra/broker"}
        named = iskra("config", "show", "--json", settings={"ISKRA_KAFKA__BOOTSTRAP": "127.0.0.1:7"}, cwd=tmp_path)
        assert json.loads(named.stdout)["kafka.bootstrap"] == "127.0.0.1:7"
    finally:
        assert brokers.stop(tmp_path / ".iskra" / "broker")
    shown = iskra("config", "show", "--json", settings={}, cwd=tmp_path)
    assert json.loads(shown.stdout)["kafka.bootstrap"] == "127.0.0.1:9092"


@pytest.mark.usefixtures("needs_kafka")
def test_a_broker_keeps_its_data_and_its_port_over_a_restart(tmp_path: Path) -> None:
    first = brokers.start(tmp_path, tied=True)
    settings = {"ISKRA_KAFKA__BOOTSTRAP": first.bootstrap}
    assert iskra("topics", "apply", "--partitions", "1", settings=settings).returncode == 0
    assert brokers.stop(tmp_path)
    second = brokers.start(tmp_path, tied=True)
    try:
        assert second.bootstrap == first.bootstrap
        plan = iskra("topics", "plan", "--check", "--json", settings=settings)
        assert (plan.returncode, {json.loads(line)["action"] for line in plan.stdout.splitlines()}) == (0, {"keep"})
    finally:
        assert brokers.stop(tmp_path)


@pytest.mark.usefixtures("needs_kafka")
@pytest.mark.timeout(180)
def test_three_nodes_are_one_cluster_that_survives_the_loss_of_one(tmp_path: Path) -> None:
    started = iskra("broker", "start", "--nodes", "3", "--dir", "b", "--json", settings={}, cwd=tmp_path)
    try:
        assert started.returncode == 0, started.stderr
        said = json.loads(started.stdout)
        assert len(set(said["pids"])) == 3
        again = brokers.start(tmp_path / "b", nodes=3)
        assert (again.bootstrap, [node.pid for node in again.nodes]) == (said["bootstrap"], said["pids"])
        settings = {"ISKRA_KAFKA__BOOTSTRAP": said["bootstrap"]}
        assert iskra("topics", "apply", "--partitions", "3", settings=settings).returncode == 0
        assert _replicas(said["bootstrap"], "iskra.events.v1") == {3}

        os.kill(said["pids"][1], signal.SIGKILL)
        event = '{"delta": "connection_lost", "connection_id": "c-1"}'
        sent = iskra("event", "send", "-", settings=settings, stdin=event)
        assert sent.returncode == 0, sent.stderr
        left = iskra("broker", "status", "--dir", "b", "--json", settings={}, cwd=tmp_path)
        assert (left.returncode, json.loads(left.stdout)["pids"]) == (1, [said["pids"][0], said["pids"][2]])
        assert "1 of 3 nodes do not run: iskra broker start --nodes 3" in left.stderr
        back = brokers.start(tmp_path / "b", nodes=3, tied=True)
        assert [node.pid for node in back.nodes][::2] == said["pids"][::2]
    finally:
        stopped = iskra("broker", "stop", "--dir", "b", "--json", settings={}, cwd=tmp_path)
    assert json.loads(stopped.stdout)["stopped"]
    assert brokers.status(tmp_path / "b") is None
    assert not any(alive(Started(pid, started_at(pid) or "")) for pid in said["pids"])


def _replicas(bootstrap: str, topic: str) -> set[int]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        (described,) = admin.describe_topics([topic])
        return {len(partition["replica_nodes"]) for partition in described["partitions"]}
    finally:
        admin.close()


@pytest.mark.usefixtures("needs_kafka")
def test_a_broker_of_three_nodes_is_not_started_with_one_nor_two(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    with pytest.raises(brokers.BrokerProblem, match="holds a broker of 1 nodes"):
        brokers.start(tmp_path, nodes=3)
    with pytest.raises(brokers.BrokerProblem, match="it has 1 or 3"):
        brokers.start(tmp_path, nodes=2)


@pytest.mark.usefixtures("needs_kafka")
def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path) -> None:
    brokers.fetch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(brokers.BrokerProblem, match=f"port {port} of 127.0.0.1 is taken"):
            brokers.start(tmp_path, port)
    assert not (tmp_path / "broker.json").exists()


@pytest.mark.usefixtures("needs_kafka")
def test_a_jar_that_is_not_what_the_checksums_name_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = brokers.fetch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bad = brokers.jars_directory()
    shutil.copytree(good, bad, copy_function=os.link)
    changed = bad / "slf4j-api-1.7.36.jar"
    changed.unlink()
    changed.write_bytes(b"not a jar")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(brokers.BrokerProblem, match="Maven"):
        brokers.fetch()


def test_the_version_is_the_one_of_the_pom() -> None:
    pom = ET.parse(ROOT / "deploy" / "kafka" / "pom.xml").getroot()
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = {
        found.findtext("m:artifactId", "", space): found.findtext("m:version", "", space)
        for found in [*pom.iter(f"{{{space['m']}}}dependency"), *pom.iter(f"{{{space['m']}}}plugin")]
    }
    assert versions["kafka_2.13"] == brokers.KAFKA_VERSION
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in versions.values())
    sums = (ROOT / "deploy" / "kafka" / "SHA256SUMS").read_text().splitlines()
    assert f"kafka_2.13-{brokers.KAFKA_VERSION}.jar" in {line.partition("  ")[2] for line in sums}
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in sums)


def test_without_java_the_line_names_what_was_found_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(brokers.BrokerProblem) as caught:
        brokers.find_java()
    assert str(caught.value).startswith(
        f"Java >= 17 is needed for the local broker (/nowhere/bin/java is no working Java; {old} is Java 11): apt-get"
    )
