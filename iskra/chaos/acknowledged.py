"""I2: what the broker has acknowledged is in the log and has an outcome; what failed is not there."""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import sha256

from schemas.topics import EVENTS

from .evidence import Evidence
from .judging import Finding, Judgement, Place
from .ledger import ID_HEADER, Logged, Sent
from .states import States

__all__ = ["acknowledged"]


def acknowledged(evidence: Evidence, states: States) -> Judgement:
    """Whether anything acknowledged is lost, or anything is there that nobody sent."""
    findings: list[Finding] = []
    doubts = [
        f"{EVENTS}-{partition} begins at {evidence.begin(EVENTS, partition)}: what was before cannot be looked for"
        for partition in evidence.partitions(EVENTS)
        if evidence.begin(EVENTS, partition)
    ]
    ids, hashes = {one.id: one for one in evidence.sent}, defaultdict[str, list[Sent]](list)
    for one in evidence.sent:
        hashes[one.sha256].append(one)
    found: dict[str, list[Place]] = defaultdict(list)
    unexpected = 0
    for place, record in evidence.records(EVENTS):
        name = _name(record)
        candidates = [ids[name]] if name in ids else hashes.get(_digest(record), [])
        sender = next((one for one in candidates if one.id not in found), candidates[0] if candidates else None)
        if sender is None or sender.status == "fail":
            unexpected += 1
            why = "nobody sent this record" if sender is None else f"{sender.id} failed, and is in the log"
            findings.append(Finding(why, place))
        if sender is not None:
            found[sender.id].append(place)
            if _digest(record) != sender.sha256:
                findings.append(Finding(f"{sender.id} was sent with another value", place))
    statuses = Counter(one.status for one in evidence.sent)
    lost = 0
    for one in evidence.sent:
        if one.status != "ok":
            continue
        places = found.get(one.id, [])
        claimed = None if one.partition is None or one.offset is None else Place(EVENTS, one.partition, one.offset)
        if not places or (claimed is not None and claimed not in places):
            lost += 1
            findings.append(Finding(f"{one.id} was acknowledged and is not in the log", claimed))
        elif all(place.offset >= states.position(EVENTS, place.partition) for place in places):
            lost += 1
            findings.append(Finding(f"{one.id} was acknowledged and has no outcome", places[0]))
    numbers = {
        "attempt": len(evidence.sent),
        "ok": statuses["ok"],
        "unknown": statuses["unknown"],
        "fail": statuses["fail"],
        "lost": lost,
        "unexpected": unexpected,
    }
    if not evidence.sent:
        doubts.append("nothing was recorded of what was sent")
    return Judgement(tuple(findings), tuple(doubts), numbers)


def _name(record: Logged) -> str:
    return next((data.decode(errors="replace") for name, data in record.headers if name == ID_HEADER), "")


def _digest(record: Logged) -> str:
    return "" if record.value is None else sha256(record.value).hexdigest()
