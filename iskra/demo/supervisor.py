"""Everything the demo needs as real processes, started in order and gone afterwards, whatever happened.

Broker, topics, five workers and one agent process; the reference server, the fault proxy and the sinks run in the
supervisor's own loop. Children die with it. All files lie in ``.iskra/demo``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alerts.sinks import Sinks
from iskra.apps import broker, cluster, fleet, topics
from iskra.apps.processes import Started, alive, end, spawn
from iskra.chaos.proxy import FaultProxy
from iskra.problems import Problem
from pipeline.agents.reference_server import ReferenceServer
from pipeline.runtime.options import KafkaOptions
from schemas.topics import planned

from .weather import LINKS

__all__ = ["HOME", "Say", "Stage", "still_running", "supervised"]

HOME = Path(".iskra", "demo")
PARTITIONS = 2
"""Few partitions where little is done: each open one is a transactional producer."""
_AGENT_GRACE_S = 10.0

Say = Callable[[str, float], None]
"""Hears each step that is done, with its seconds."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo."""

    kafka: KafkaOptions
    sinks: Sinks
    proxy: FaultProxy
    workers: tuple[fleet.Member, ...]
    processes: Mapping[str, Started]
    """Every child, by name: to see at the end that none is left."""


def still_running(processes: Mapping[str, Started]) -> tuple[str, ...]:
    """Which of these children have not ended."""
    return tuple(name for name, process in processes.items() if alive(process))


@asynccontextmanager
async def supervised(seed: int, say: Say) -> AsyncIterator[Stage]:
    """Start everything, and end it.

    Errors: Problem, with one line, when a part cannot be started; what had been started is ended.
    """
    home = HOME.absolute()  # noqa: ASYNC240 - once, before anything runs in the loop
    if home.exists() and broker.status(home / "broker") is not None:
        message = f"a demo runs in {HOME} already: end it first, or: iskra broker stop --dir {HOME / 'broker'}"
        raise Problem(message)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    try:
        async with contextlib.AsyncExitStack() as stack:
            kafka = stack.enter_context(_kafka(home, say))
            sinks = Sinks(record_to=home / "received.jsonl")
            await sinks.start()
            stack.push_async_callback(sinks.stop)
            server = await stack.enter_async_context(ReferenceServer())
            proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port, links=LINKS))
            settings = _environment(kafka, sinks)
            # Last: while processes are started this loop stands still, and with it the proxy and the server.
            workers = stack.enter_context(_workers(home, settings, say))
            agent = stack.enter_context(_agent(home, settings, proxy, seed))
            processes = {member.name: Started(member.pid, _start_of(home, member.name)) for member in workers}
            yield Stage(kafka, sinks, proxy, workers, {**processes, "agent": agent, **_broker_process(home)})
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _environment(kafka: KafkaOptions, sinks: Sinks) -> dict[str, str]:
    """What the children are told: configured receivers of the person who tries this out are ignored."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ISKRA_")}
    kept = {name: value for name, value in os.environ.items() if name.startswith("ISKRA_KAFKA__")}
    return {
        **clean,
        **kept,
        "ISKRA_PROFILE": "demo",
        "ISKRA_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "ISKRA_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "ISKRA_ALERTS__SLACK__TOKEN": "xoxb-demo",
        "ISKRA_ALERTS__SLACK__CHANNEL": "C0DEMO",
        "ISKRA_ALERTS__SLACK__BASE_URL": sinks.slack_url,
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "demo",
        "ISKRA_ALERTS__PAGERDUTY__BASE_URL": sinks.pagerduty_url,
    }


@contextmanager
def _kafka(home: Path, say: Say) -> Iterator[KafkaOptions]:
    given = os.environ.get("ISKRA_KAFKA__BOOTSTRAP")
    begun = time.monotonic()
    if given:
        from iskra.settings import load

        options = load({"kafka": {"topic_prefix": f"iskra-demo.{secrets.token_hex(3)}"}}).settings.kafka.options()
    else:
        running = broker.start(home / "broker", tied=True, say=lambda text: say(text, time.monotonic() - begun))
        options = KafkaOptions(bootstrap=running.bootstrap, topic_prefix="iskra-demo")
    say(f"Kafka at {options.bootstrap}", time.monotonic() - begun)
    try:
        begun = time.monotonic()
        _create_topics(options)
        say("topics", time.monotonic() - begun)
        yield options
    finally:
        if given:
            _delete_topics(options)
        else:
            broker.stop(home / "broker")


def _create_topics(options: KafkaOptions) -> None:
    with cluster.admin(options) as admin:
        topics.apply(admin, topics.plan(planned(PARTITIONS), {}, options.topic_prefix))


def _delete_topics(options: KafkaOptions) -> None:
    """On a cluster that is not ours nothing is left behind: the names are this run's own."""
    with contextlib.suppress(Problem), cluster.admin(options) as admin:
        admin.delete_topics([options.topic(topic.name) for topic in planned(PARTITIONS)])


@contextmanager
def _workers(home: Path, settings: Mapping[str, str], say: Say) -> Iterator[tuple[fleet.Member, ...]]:
    begun = time.monotonic()
    try:
        members = fleet.up(home / "run", env=settings, free_ports=True, tied=True)
        say(f"workers {', '.join(member.name for member in members)}", time.monotonic() - begun)
        yield tuple(members)
    finally:
        fleet.down(home / "run")


@contextmanager
def _agent(home: Path, settings: Mapping[str, str], proxy: FaultProxy, seed: int) -> Iterator[Started]:
    ports = [str(port) for port in proxy.ports]
    command = [sys.executable, "-m", "iskra.demo.links", "--seed", str(seed), *ports]
    process = spawn(command, log=home / "agent.log", env=settings, tied=True)
    try:
        yield process
    finally:
        end(process, grace_s=_AGENT_GRACE_S)


def _start_of(home: Path, name: str) -> str:
    from iskra.apps.processes import read_started

    kept = read_started(home / "run" / f"{name}.json")
    return kept[0].start if kept else ""


def _broker_process(home: Path) -> dict[str, Started]:
    from iskra.apps.processes import started_at

    running = broker.status(home / "broker")
    return {} if running is None else {"broker": Started(running.pid, started_at(running.pid) or "")}
