"""I10: what is kept of a rejected or late record are the bytes that came in."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from schemas.topics import EVENTS_LATE, EVENTS_REJECTED

from .evidence import Evidence, Kept
from .judging import Finding, Judgement, Place
from .ledger import Logged
from .states import States

__all__ = ["roundtrip"]


def roundtrip(evidence: Evidence, states: States) -> Judgement:
    """Whether value and key of everything kept aside are those of its source."""
    findings: list[Finding] = []
    inputs: dict[Place, Logged] = {}
    for topic in (EVENTS_REJECTED, EVENTS_LATE):
        for kept in evidence.kept(topic):
            if isinstance(kept, Place):
                findings.append(Finding("its headers do not say where it came from", kept))
                continue
            if not inputs:
                inputs.update(evidence.records(kept.source.topic))
            findings += _same(evidence, kept, inputs.get(kept.source))
    return Judgement(tuple(findings))


def _same(evidence: Evidence, kept: Kept, source: Logged | None) -> Iterator[Finding]:
    if source is None:
        log = evidence.log(kept.source.topic, kept.source.partition)
        if log and log[0].offset <= kept.source.offset <= log[-1].offset:
            yield Finding(f"says it is {kept.source}, and there is no such record", kept.place)
        return
    headers = dict(kept.record.headers)
    for what, ours, theirs in (
        ("value", kept.record.value, source.value),
        ("key", kept.record.key, source.key),
    ):
        digest = headers.get(f"iskra.{what}_sha256")
        if digest is None:
            same = ours == theirs
        else:
            whole = theirs or b""
            length = headers.get(f"iskra.{what}_length", b"").decode()
            same = digest.decode() == sha256(whole).hexdigest() and length == str(len(whole))
            same = same and whole.startswith(ours or b"")
        if not same:
            yield Finding(f"its {what} is not that of {kept.source}", kept.place)
