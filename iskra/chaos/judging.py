"""What an invariant says of a run: where it was broken, and what kept it from being judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Finding", "Judgement", "Place", "Verdict", "joined"]


class Verdict(StrEnum):
    """Of one invariant, and of a run. Only green is good."""

    GREEN = "green"
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One offset of the log; topics by their logical name."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.topic}-{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise, in words."""

    text: str
    place: Place | None = None
    """The first offset at which it shows, as far as there is one."""

    def __str__(self) -> str:
        """Place first."""
        return self.text if self.place is None else f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one invariant."""

    findings: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()
    """Why it could not be judged, or not in full."""
    numbers: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """A broken promise outweighs a doubt."""
        if self.findings:
            return Verdict.VIOLATED
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.GREEN


def joined(parts: Iterable[Judgement]) -> Judgement:
    """Several judgements of one invariant as one; numbers are added."""
    findings: list[Finding] = []
    doubts: list[str] = []
    numbers: dict[str, int | float] = {}
    for part in parts:
        findings += part.findings
        doubts += part.doubts
        for name, number in part.numbers.items():
            numbers[name] = numbers.get(name, 0) + number
    return Judgement(tuple(findings), tuple(doubts), numbers)
