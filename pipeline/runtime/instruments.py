"""What happens inside the runtime: one type per event, each with its log line and its counters.

Log and counter cannot part, because ``Instruments.tell`` writes both. error: data lost or a person needed; warning:
unexpected, recovered; info: a change. Nothing here runs per record.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.metrics import by_name

__all__ = [
    "BrokerAway",
    "CallFailed",
    "CheckpointCommitted",
    "CheckpointFailed",
    "Fenced",
    "FetchFailed",
    "Happening",
    "Instruments",
    "LostByRetention",
    "PartitionClosed",
    "PartitionOpened",
    "ProcessorFailed",
    "Ready",
    "Rebalanced",
    "RecordRaised",
    "Resumed",
    "Stalled",
    "StartRefused",
    "Started",
    "Stopped",
    "TopicsChanged",
]

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened; its fields are the fields of the log line."""

    event: ClassVar[str]
    level: ClassVar[int] = logging.INFO


@dataclass(frozen=True, slots=True)
class Started(Happening):
    """The process runs and may be probed."""

    event: ClassVar[str] = "started"
    member: str
    group: str
    stages: tuple[str, ...]
    port: int | None


@dataclass(frozen=True, slots=True)
class Ready(Happening):
    """The first assignment is restored."""

    event: ClassVar[str] = "ready"
    role: str
    member: str
    partitions: Mapping[str, tuple[int, ...]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Rebalanced(Happening):
    """An assignment after the first."""

    event: ClassVar[str] = "rebalanced"
    partitions: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class PartitionOpened(Happening):
    """A partition is fenced, restored and about to be read."""

    event: ClassVar[str] = "partition_opened"
    stage: str
    partition: int
    position: int
    keys: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PartitionClosed(Happening):
    """A partition was given back."""

    event: ClassVar[str] = "partition_closed"
    stage: str
    partition: int
    position: int
    committed: bool
    """Whether everything folded is in Kafka; False: the next owner folds it again."""


@dataclass(frozen=True, slots=True)
class LostByRetention(Happening):
    """Retention took records that were not read yet."""

    event: ClassVar[str] = "lost_by_retention"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    records: int
    position: int


@dataclass(frozen=True, slots=True)
class CheckpointCommitted(Happening):
    """A transaction went through. Counted, logged at debug only."""

    event: ClassVar[str] = "checkpoint_committed"
    level: ClassVar[int] = logging.DEBUG
    stage: str
    partition: int
    position: int
    outputs: int
    state: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CheckpointFailed(Happening):
    """A transaction was given up; the partition is opened again."""

    event: ClassVar[str] = "checkpoint_failed"
    level: ClassVar[int] = logging.WARNING
    stage: str
    partition: int
    error: str
    in_a_row: int


@dataclass(frozen=True, slots=True)
class Fenced(Happening):
    """Another worker owns the partition now, or the broker gave up on a transaction of this one."""

    event: ClassVar[str] = "fenced"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    action: str = "paused or cut off too long: another may own this partition; nothing was written, this process ends"


@dataclass(frozen=True, slots=True)
class FetchFailed(Happening):
    """Records could not be fetched; it is tried again."""

    event: ClassVar[str] = "fetch_failed"
    level: ClassVar[int] = logging.WARNING
    error: str


@dataclass(frozen=True, slots=True)
class BrokerAway(Happening):
    """Nobody answers; the worker waits. Told once per outage."""

    event: ClassVar[str] = "broker_away"
    level: ClassVar[int] = logging.WARNING
    reason: str


@dataclass(frozen=True, slots=True)
class TopicsChanged(Happening):
    """Topics were deleted, or their partitions are others, under a running worker; it pauses. Told once."""

    event: ClassVar[str] = "topics_changed"
    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed(Happening):
    """What the worker waited for is there again."""

    event: ClassVar[str] = "resumed"
    after: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RecordRaised(Happening):
    """A processor raised on one record: a bug. The record is refused, the state is as if it had not been there."""

    event: ClassVar[str] = "record_raised"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    offset: int
    error: str
    """Kind and place: a message might quote the record."""
    stack_digest: str


@dataclass(frozen=True, slots=True)
class CallFailed(Happening):
    """A call's performer raised, which it must not."""

    event: ClassVar[str] = "call_failed"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    error: str


@dataclass(frozen=True, slots=True)
class ProcessorFailed(Happening):
    """A processor raised where no single record is to blame, or on too many. The process ends, nothing is committed."""

    event: ClassVar[str] = "processor_failed"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    position: int
    error: str


@dataclass(frozen=True, slots=True)
class Stalled(Happening):
    """Records wait, nothing moves: the process ends so that a new one may start."""

    event: ClassVar[str] = "stalled"
    level: ClassVar[int] = logging.ERROR
    reason: str
    stacks: str


@dataclass(frozen=True, slots=True)
class StartRefused(Happening):
    """The surroundings do not fit; a person must decide."""

    event: ClassVar[str] = "start_refused"
    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped(Happening):
    """The process ends."""

    event: ClassVar[str] = "stopped"
    exit_code: int
    reason: str


class Instruments:
    """The metrics of one worker process and the way to its log."""

    def __init__(self, role: str, version: str = "0", registry: CollectorRegistry | None = None) -> None:
        """Make the metrics of the catalogue (``schemas.metrics``) that all workers have, in a registry of their own."""
        self.registry = within = registry or CollectorRegistry()
        self._log = logging.getLogger(f"iskra.{role}")

        def gauge(name: str) -> Gauge:
            metric = by_name(name)
            return Gauge(metric.full_name, metric.help, metric.labels, registry=within)

        def counter(name: str) -> Counter:
            metric = by_name(name)
            return Counter(metric.full_name, metric.help, metric.labels, registry=within)

        def histogram(name: str) -> Histogram:
            metric = by_name(name)
            return Histogram(metric.full_name, metric.help, metric.labels, buckets=_SECONDS, registry=within)

        gauge("build_info").labels(role, version).set(1)
        self.start_seconds = gauge("start_seconds")
        self.rebalances = counter("rebalances_total")
        self.waiting = gauge("waiting")
        self.unaccounted = gauge("unaccounted_events")
        self.lag = gauge("lag_records")
        self.lag_seconds = gauge("lag_seconds")
        self.position = gauge("position")
        self.outcomes = counter("events_total")
        self.gap = counter("offset_gap_total")
        self.lost = counter("lost_by_retention_total")
        self.checkpoint_seconds = histogram("checkpoint_seconds")
        self.checkpoint_age = gauge("checkpoint_age_seconds")
        self.restore_seconds = histogram("restore_seconds")
        self.state_keys = gauge("state_keys")
        self.produce_errors = counter("produce_errors_total")
        self.outputs = counter("outputs_total")
        self.fenced = counter("fenced_total")
        self.fetch_errors = counter("fetch_errors_total")
        self.stalls = counter("stalls_total")
        self.call_errors = counter("call_errors_total")
        self.records_raised = counter("records_raised_total")

    def tell(self, happening: Happening) -> None:
        """Log it and count it."""
        self._count(happening)
        if self._log.isEnabledFor(happening.level):
            self._log.log(happening.level, happening.event, extra=asdict(happening))

    def _count(self, happening: Happening) -> None:
        match happening:
            case Ready(seconds=seconds):
                self.start_seconds.labels("ready").set(seconds)
            case Rebalanced():
                self.rebalances.inc()
            case PartitionOpened(stage=stage, partition=partition, keys=keys, seconds=seconds):
                self.restore_seconds.labels(stage).observe(seconds)
                self.state_keys.labels(stage, partition).set(keys)
            case LostByRetention(stage=stage, partition=partition, records=records):
                self.lost.labels(stage, partition).inc(records)
            case CheckpointCommitted(stage=stage, outputs=outputs, seconds=seconds):
                self.checkpoint_seconds.labels(stage).observe(seconds)
                self.outputs.labels(stage).inc(outputs)
            case CheckpointFailed(stage=stage):
                self.produce_errors.labels(stage).inc()
            case Fenced(stage=stage):
                self.fenced.labels(stage).inc()
            case FetchFailed():
                self.fetch_errors.inc()
            case Stalled():
                self.stalls.inc()
            case RecordRaised(stage=stage):
                self.records_raised.labels(stage).inc()
            case CallFailed(stage=stage):
                self.call_errors.labels(stage).inc()
            case _:
                pass

    def forget(self, stage: str, partition: int) -> None:
        """Take a partition that was given back out of the gauges: its new owner shows it."""
        for gauge in (self.unaccounted, self.lag, self.lag_seconds, self.position, self.checkpoint_age):
            with contextlib.suppress(KeyError):
                gauge.remove(stage, str(partition))
