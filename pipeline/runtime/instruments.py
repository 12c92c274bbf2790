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

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

__all__ = [
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
    "Stalled",
    "StartRefused",
    "Started",
    "Stopped",
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
class CallFailed(Happening):
    """A call's performer raised, which it must not."""

    event: ClassVar[str] = "call_failed"
    level: ClassVar[int] = logging.ERROR
    stage: str
    partition: int
    error: str


@dataclass(frozen=True, slots=True)
class ProcessorFailed(Happening):
    """A processor raised: a bug. The process ends without committing what led there."""

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
        """Make the metrics in a registry of their own."""
        self.registry = within = registry or CollectorRegistry()
        self._log = logging.getLogger(f"iskra.{role}")
        place = ("stage", "partition")
        Info("iskra_build", "Version and role of this process.", registry=within).info(
            {"role": role, "version": version}
        )
        self.start_seconds = Gauge(
            "iskra_start_seconds", "Time to reach a phase of the start.", ("phase",), registry=within
        )
        self.rebalances = Counter("iskra_rebalances_total", "Assignments after the first.", registry=within)
        self.unaccounted = Gauge(
            "iskra_unaccounted_events", "Records read without an outcome; must be 0.", place, registry=within
        )
        self.lag = Gauge(
            "iskra_lag_records", "Records between the position and the end of the log.", place, registry=within
        )
        self.position = Gauge("iskra_position", "Next offset to read.", place, registry=within)
        self.outcomes = Counter(
            "iskra_events_total", "Records by what became of them.", ("stage", "outcome"), registry=within
        )
        self.gap = Counter("iskra_offset_gap_total", "Offsets the broker never delivered.", place, registry=within)
        self.lost = Counter(
            "iskra_lost_by_retention_total", "Records retention took before us.", place, registry=within
        )
        self.checkpoint_seconds = Histogram(
            "iskra_checkpoint_seconds", "Time of one transaction.", ("stage",), buckets=_SECONDS, registry=within
        )
        self.checkpoint_age = Gauge(
            "iskra_checkpoint_age_seconds", "Age of the oldest change not in Kafka yet.", place, registry=within
        )
        self.restore_seconds = Histogram(
            "iskra_restore_seconds",
            "Time to fence and restore a partition.",
            ("stage",),
            buckets=_SECONDS,
            registry=within,
        )
        self.state_keys = Gauge("iskra_state_keys", "State keys restored at opening.", place, registry=within)
        self.produce_errors = Counter(
            "iskra_produce_errors_total", "Transactions given up.", ("stage",), registry=within
        )
        self.outputs = Counter("iskra_outputs_total", "Records written.", ("stage",), registry=within)
        self.fenced = Counter("iskra_fenced_total", "Partitions lost to a newer owner.", ("stage",), registry=within)
        self.fetch_errors = Counter("iskra_fetch_errors_total", "Fetches that failed.", registry=within)
        self.stalls = Counter("iskra_stalls_total", "Ends by the watchdog.", registry=within)
        self.call_errors = Counter(
            "iskra_call_errors_total", "Calls whose performer raised.", ("stage",), registry=within
        )

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
            case CallFailed(stage=stage):
                self.call_errors.labels(stage).inc()
            case _:
                pass

    def forget(self, stage: str, partition: int) -> None:
        """Take a partition that was given back out of the gauges: its new owner shows it."""
        for gauge in (self.unaccounted, self.lag, self.position, self.checkpoint_age):
            with contextlib.suppress(KeyError):
                gauge.remove(stage, str(partition))
