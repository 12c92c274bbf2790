"""What happened around one offset: records, checkpoints, group offsets, outputs and faults, in order of time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from schemas.topics import EVENTS, EVENTS_LATE, EVENTS_REJECTED
from schemas.types import Instant, Millis

from .evidence import SOURCES, Evidence
from .judging import Place
from .ledger import Logged
from .states import States

__all__ = ["timeline"]

_NEIGHBOURS = 3
_MARGIN: Millis = 15_000
_LINES = 40
_WIDTH = 96


def timeline(evidence: Evidence, states: States, place: Place) -> list[str]:
    """Lines for people: seconds since the run began, and what.

    Shape: the records around the place, the checkpoints around it, faults at the time; 40 lines at most.
    """
    entries = list(_records(evidence, place))
    if not entries:
        return [f"nothing of {place.topic}-{place.partition} was read"]
    at = next((when for when, _, text in entries if f"@{place.offset} " in f"{text} "), entries[-1][0])
    entries += _checkpoints(evidence, states, place)
    entries += (
        (fault.at, 2, f"{fault.kind} of {fault.target} until {_clock(evidence, fault.until)}{_bite(fault.bit)}")
        for fault in evidence.faults
        if fault.at - _MARGIN <= at <= fault.until + _MARGIN
    )
    entries.sort(key=lambda one: (abs(one[0] - at), one[1]))
    return [f"{_clock(evidence, when)}  {text}" for when, _, text in sorted(entries[:_LINES])]


def _records(evidence: Evidence, place: Place) -> Iterator[tuple[Instant, int, str]]:
    log = evidence.log(place.topic, place.partition)
    number = bisect_left([record.offset for record in log], place.offset)
    aside = _aside(evidence, place) if place.topic == EVENTS else {}
    for record in log[max(0, number - _NEIGHBOURS) : number + _NEIGHBOURS + 1]:
        mark = ">" if record.offset == place.offset else " "
        outcome = aside.get(record.offset, "")
        where = f"{place.topic}-{place.partition}@{record.offset}"
        yield record.timestamp, 1, f"{mark} {where} {_shown(record)}{outcome}"
    if number < len(log) and log[number].offset != place.offset:
        yield log[number].timestamp, 0, f"> {place.topic}-{place.partition}@{place.offset} is not in the log"


def _aside(evidence: Evidence, place: Place) -> dict[int, str]:
    """Which records of the partition were put aside, and where."""
    found: dict[int, str] = {}
    for topic in (EVENTS_REJECTED, EVENTS_LATE):
        for kept in evidence.kept(topic):
            if not isinstance(kept, Place) and kept.source.partition == place.partition:
                why = f": {kept.said.reason}" if kept.said is not None else ""
                found[kept.source.offset] = f"  -> {kept.place}{why}"
    return found


def _checkpoints(evidence: Evidence, states: States, place: Place) -> Iterator[tuple[Instant, int, str]]:
    """The last cuts before the place and the first behind it, and what the group said of them."""
    source = SOURCES.get(place.topic, place.topic)
    cuts = states.of(source).get(place.partition, ())
    if place.topic == source:
        number = bisect_left([cut.position for cut in cuts], place.offset + 1)
    else:
        number = bisect_left([cut.place.offset for cut in cuts], place.offset)
    chosen = cuts[max(0, number - 2) : number + 2]
    for cut in chosen:
        counts = " ".join(f"{name} {count}" for name, count in sorted(cut.counts.items()))
        yield cut.at, 3, f"  checkpoint {cut.place}: position {cut.position}, {counts}, gap {cut.gap}"
    positions = {cut.position for cut in chosen}
    for one in evidence.commits:
        if (one.topic, one.partition) == (source, place.partition) and one.offset in positions:
            yield one.at, 4, f"  group {one.group} committed {one.offset}"


def _shown(record: Logged) -> str:
    key = "-" if record.key is None else record.key.decode("utf-8", "backslashreplace")
    value = "(no value)" if record.value is None else record.value.decode("utf-8", "backslashreplace")
    text = f"{key} {value}"
    plain = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return plain if len(plain) <= _WIDTH else f"{plain[:_WIDTH]}…"


def _clock(evidence: Evidence, at: Instant) -> str:
    return f"{(at - evidence.run.began) / 1_000:+.3f}s"


def _bite(bit: bool) -> str:  # noqa: FBT001 a field of the ledger, passed on
    return "" if bit else ", which had no effect"
