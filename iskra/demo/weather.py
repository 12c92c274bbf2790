"""The demo's weather: which fault comes when, as data.

Pure. Seconds count from the moment all links are up and all workers are ready. What must be heard of each
spell of weather stands in ``verdict.py``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["BLIP_LINKS", "CUT_LINKS", "CUT_S", "END_S", "LINKS", "SPELLS", "Change", "Fault", "Spell", "forecast"]

LINKS = 60
CUT_LINKS = 36
BLIP_LINKS = 3
END_S = 122.0
CUT_S = 15.0


class Fault(StrEnum):
    """What the fault proxy is told."""

    CUT = "cut"
    """Drop these links and refuse them until HEAL."""
    HEAL = "heal"
    BLIP = "blip"
    """Drop these links once; they may come back at once."""
    SLOW = "slow"
    """Hold every byte back by 300 ms each way: 600 ms for a ping and its pong."""


@dataclass(frozen=True, slots=True)
class Change:
    """One order to the fault proxy."""

    at_s: float
    fault: Fault
    links: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of weather, as told to the person who watches."""

    at_s: float
    text: str


SPELLS: tuple[Spell, ...] = (
    Spell(0, "calm: 60 links, heartbeats, trust grows"),
    Spell(15, "cut: 36 of 60 links lose their network for 4 s (a minute on this clock)"),
    Spell(19, "back: links reconnect, the seam recovers"),
    Spell(57, "blips: 3 links drop three times each"),
    Spell(65, "slow: every link answers 600 ms late"),
)


def forecast(seed: int) -> tuple[Change, ...]:
    """All orders of one run, in time order; the same seed cuts the same links.

    Shape: a CUT of 36 links at 15 s, HEAL at 19 s, at 57, 60 and 63 s a BLIP for each of 3 other links 0.7 s
    apart (three losses within one second would be a collective loss), SLOW at 65 s.
    """
    dice = random.Random(seed)  # noqa: S311 - seeded: a choice of links, not a secret
    order = list(range(LINKS))
    dice.shuffle(order)
    cut = tuple(sorted(order[:CUT_LINKS]))
    blip = tuple(sorted(order[CUT_LINKS : CUT_LINKS + BLIP_LINKS]))
    changes = [Change(15.0, Fault.CUT, cut), Change(19.0, Fault.HEAL, cut)]
    changes += [
        Change(start + 0.7 * place, Fault.BLIP, (link,))
        for start in (57.0, 60.0, 63.0)
        for place, link in enumerate(blip)
    ]
    changes.append(Change(65.0, Fault.SLOW, tuple(range(LINKS))))
    return tuple(sorted(changes, key=lambda change: change.at_s))
