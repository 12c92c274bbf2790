"""Kafka Streams doing the peers' job: exactly once, commit every 100 ms, windows in memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.ground import Filled, Ground
from benchmarks.means import Lateness, Mean, Window
from benchmarks.systems.agreement import compared, told_in_json
from benchmarks.systems.contract import Agreement, Launch, Unavailable
from iskra.apps.broker import BrokerProblem, find_java

__all__ = ["KafkaStreams"]

_PROJECT = Path(__file__).parent
_GROUP = "bench-kafka-streams"
_STORE = "means"


class KafkaStreams:
    """One stream thread."""

    name = "Kafka Streams"
    lateness = Lateness.PARTITION

    def __init__(self, work: Path) -> None:
        self._target = work / "kafka_streams"

    def version(self) -> str:
        """As the project asks for it."""
        space = {"m": "http://maven.apache.org/POM/4.0.0"}
        for dependency in ElementTree.parse(_PROJECT / "pom.xml").iterfind(".//m:dependency", space):  # noqa: S314 - a file of this repository
            if dependency.findtext("m:artifactId", "", space) == "kafka-streams":
                return dependency.findtext("m:version", "", space)
        message = "pom.xml names no kafka-streams"
        raise LookupError(message)

    def settings(self) -> str:
        """For the report."""
        return (
            "exactly_once_v2, commit interval 100 ms, in-memory window store (retention 300 s), cache 64 MiB, "
            "one stream thread, lz4"
        )

    def prepare(self) -> None:
        """Build the project."""
        maven = shutil.which("mvn")
        if maven is None:
            message = "there is no mvn on PATH: apt-get install maven"
            raise Unavailable(message)
        try:
            find_java()
        except BrokerProblem as problem:
            raise Unavailable(str(problem)) from None
        command = [
            maven, "--batch-mode", "--quiet", "--no-transfer-progress", "--file", str(_PROJECT / "pom.xml"),
            f"-Dbench.target={self._target}", "compile", "dependency:copy-dependencies", "-DincludeScope=runtime",
        ]  # fmt: skip
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            words = [line for line in (answer.stdout + answer.stderr).splitlines() if "ERROR" in line]
            first = re.sub(r"https?://\S+", "the repository", words[0] if words else "no reason given")
            message = f"Maven could not build the project: {first[:300]}"
            raise Unavailable(message)

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Its own topics, its group and its files."""
        ground.delete_group(_GROUP)
        ground.delete([topic for topic in ground.topics() if topic.startswith(f"{_GROUP}-")])
        ground.create([(_output(), filled.load.partitions, {"retention.ms": "-1"})])
        shutil.rmtree(self._target / "state", ignore_errors=True)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """The class, with its dependencies."""
        command = [
            find_java(), "-Xmx2g", "-cp", f"{self._target / 'classes'}:{self._target / 'dependency'}/*",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "bench.Means",
        ]  # fmt: skip
        settings = {
            "BENCH_BOOTSTRAP": ground.bootstrap,
            "BENCH_TOPIC": filled.topic,
            "BENCH_OUTPUT": _output(),
            "BENCH_GROUP": _GROUP,
            "BENCH_STATE": str(self._target / "state"),
        }
        return Launch(command, os.environ | settings, _GROUP)

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """The last record of each window."""
        return told_in_json(ground, _output())

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every window."""
        return compared(self, ground, filled)


def _output() -> str:
    return f"{_GROUP}-{_STORE}-out"
