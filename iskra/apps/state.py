"""The state of the workers looked at, and made anew from the log: ``iskra state``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiokafka.errors import KafkaConnectionError, ProducerFenced

from iskra.apps import cluster
from iskra.apps.worker import ROLES, stages_of
from iskra.problems import Problem, SettingsProblem, Unreachable
from iskra.settings import Settings
from pipeline.runtime.checkpoint import Destination
from pipeline.runtime.contract import Stage
from pipeline.runtime.meta import META_KEY, MetaError, decode_meta
from pipeline.runtime.opening import (
    Standing,
    StartRefusedError,
    check_topics,
    go_on_at,
    partition_counts,
    read_standing,
    restored,
)
from pipeline.runtime.rebuilding import RebuildRefusedError, Until, rebuild_partition, rebuild_to

__all__ = ["STAGES", "Shown", "destinations", "plan_rebuild", "rebuilt", "require_stopped", "shown"]

STAGES: Final = {
    "scorer": "scorer",
    "rollup": "rollup",
    "intake": "router",
    "router": "router",
    "dispatcher": "dispatcher",
}
"""Every stage and the role that runs it."""

_LEAVES_WITHIN_S = 3.0
"""Beyond the session timeout: so long a stopped static member may count as one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """The state of one partition of one stage."""

    stage: str
    partition: int
    topic: str
    """The input."""
    log_start: int
    log_end: int
    position: int | None
    """Where a worker goes on; None: no meta record that can be read."""
    base: int | None
    counts: dict[str, int]
    gap: int
    lost_by_retention: int
    unaccounted: int
    group_offset: int | None
    keys: int
    bytes: int
    refused: str | None
    """Why a worker would not start on it; None: it fits."""


def destinations(settings: Settings, stage: str | None, partition: int | None) -> list[Destination]:
    """The partitions that are meant, of one stage or of all.

    Errors: SettingsProblem for a stage or a partition that does not exist, Problem for topics that do not.
    """
    if stage is not None and stage not in STAGES:
        raise SettingsProblem([f"{stage[:64]!r} is no stage: it is one of {', '.join(STAGES)}"])
    kafka = settings.kafka.options()
    wanted = [
        (one, f"{kafka.topic_prefix}-{role}")
        for role in ROLES
        for one in stages_of(role, settings)
        if stage in (None, one.name)
    ]
    counts = _checked([one for one, _ in wanted], settings)
    found: list[Destination] = []
    for one, group in wanted:
        numbers = range(counts[one.source])
        if partition is not None and partition not in numbers:
            if stage is None:
                continue
            msg = f"{kafka.topic(one.source)} has {len(numbers)} partitions: there is no partition {partition}"
            raise SettingsProblem([msg])
        found += [Destination(kafka, group, one, n, counts) for n in numbers if partition in (None, n)]
    return found


def _checked(stages: Sequence[Stage], settings: Settings) -> dict[str, int]:
    kafka = settings.kafka.options()
    try:
        return check_topics(stages, _run(partition_counts(kafka), settings), kafka)
    except StartRefusedError as error:
        raise Problem(str(error)) from error


def shown(to: Destination, settings: Settings) -> Shown:
    """Read one partition's state; nothing is changed and no worker disturbed."""
    standing = _run(read_standing(to), settings)
    written = standing.live.get(META_KEY)
    try:
        account = decode_meta(written).account() if written is not None else None
    except MetaError:
        account = None
    return Shown(
        stage=to.stage.name,
        partition=to.partition,
        topic=to.input.topic,
        log_start=standing.log_start,
        log_end=standing.end,
        position=account.position if account else None,
        base=account.base if account else None,
        counts=account.counts if account else {},
        gap=account.gap if account else 0,
        lost_by_retention=account.lost_by_retention if account else 0,
        unaccounted=account.unaccounted if account else 0,
        group_offset=standing.committed if standing.committed >= 0 else None,
        keys=len(standing.live),
        bytes=sum(len(key) + len(value) for key, value in standing.live.items()),
        refused=_refused(standing, to),
    )


def _refused(standing: Standing, to: Destination) -> str | None:
    try:
        go_on_at(standing, to)
        restored(standing, to)
    except StartRefusedError as error:
        return str(error)
    return None


def require_stopped(to: Sequence[Destination], settings: Settings, say: Callable[[str], None]) -> None:
    """Wait for members that have just stopped to leave the group.

    Errors: Problem naming those that run on: their outputs would stand beside those of the rebuilt state.
    """
    kafka = settings.kafka.options()
    patience = settings.runtime.options().session_timeout_ms / 1000 + _LEAVES_WITHIN_S
    for group in sorted({one.group for one in to}):
        deadline = time.monotonic() + patience
        told = False
        with cluster.admin(kafka) as admin:
            while members := _members(admin, group):
                if time.monotonic() > deadline:
                    msg = f"{', '.join(members)} of group {group} run: stop them first, iskra down"
                    raise Problem(msg)
                if not told:
                    told = True
                    say(f"waiting up to {patience:.0f} s for {', '.join(members)} to leave the group {group}")
                time.sleep(0.5)


def _members(admin: Any, group: str) -> list[str]:
    described = admin.describe_groups([group])[group]
    return sorted(str(member["client_id"]) for member in described.get("members") or ())


def plan_rebuild(to: Destination, settings: Settings, until: Until) -> tuple[int, int]:
    """From which to which offset the log would be folded. Errors: Problem."""
    with _one_line(to):
        standing = _run(read_standing(to), settings)
        return standing.log_start, rebuild_to(standing, to, until)


def rebuilt(to: Destination, settings: Settings, *, until: Until, progress: Callable[[int, int], None]) -> Shown:
    """Make the state of one partition anew; the answer is what stands there then.

    Errors: Problem when only a person can say what is right, or a worker took the partition meanwhile.
    """
    with _one_line(to):
        _run(
            rebuild_partition(to, settings.runtime.options(), client_id="iskra-state", until=until, progress=progress),
            settings,
        )
    return shown(to, settings)


@contextmanager
def _one_line(to: Destination) -> Iterator[None]:
    try:
        yield
    except RebuildRefusedError as error:
        raise Problem(str(error)) from error
    except ProducerFenced as error:
        msg = (
            f"a worker took partition {to.partition} of {to.input.topic} meanwhile, nothing is changed: "
            "stop it first, iskra down"
        )
        raise Problem(msg) from error


def _run(work: Coroutine[Any, Any, T], settings: Settings) -> T:
    """Run one piece of asynchronous work to its end. Errors: Unreachable when no broker answers."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells each attempt; we tell the outcome
    try:
        return asyncio.run(work)
    except (KafkaConnectionError, OSError) as error:
        msg = (
            f"no Kafka answers at {settings.kafka.bootstrap}: start one with iskra broker start, "
            "or set ISKRA_KAFKA__BOOTSTRAP"
        )
        raise Unreachable(msg) from error
