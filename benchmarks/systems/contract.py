"""What the benchmark must know of a system to measure it. Every system is a process of its own that reads Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.ground import Filled, Ground
from benchmarks.means import Lateness, Mean, Window

__all__ = ["Agreement", "Launch", "Peer", "System", "Unavailable"]


class Unavailable(Exception):  # noqa: N818 - it is a finding of the report, not a fault
    """A system cannot run here. The text says why and goes into the report."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a system on a topic, and how to see its commits."""

    command: Sequence[str]
    environment: Mapping[str, str]
    group: str
    """The consumer group whose committed offsets are the system's progress."""
    progress: Path | None = None
    """For a system without a group: the file in which it says how many records it has taken. It ends by itself."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the comparison with an oracle found."""

    events: int
    """Of the log that both evaluated."""
    compared: int
    """Values: scores and outcomes, or windows."""
    differences: Sequence[str]
    """One line each; empty when all are equal."""


class System(Protocol):
    """One system under test."""

    name: str
    """As the report calls it."""

    def version(self) -> str:
        """Of what is measured."""

    def settings(self) -> str:
        """The settings that matter, in one line for the report."""

    def prepare(self) -> None:
        """Build it. Errors: Unavailable."""

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Remove what an earlier run left on the broker; make the topics it writes to."""

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """How to start it on this topic."""

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Compare what it wrote about the whole of this topic with the oracle's. It has ended."""


class Peer(System, Protocol):
    """A system that does the peers' job (``benchmarks.means``)."""

    lateness: Lateness

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """The last word on each window it published."""
