"""I4: positions never fall, and no subject goes back in time.

A score's first word on a pane comes after the first words on earlier panes, and its revisions rise. Two exceptions
are no disorder: with ``emit`` other than ``all`` a pane may be published for the first time by a revision, and a level
that went on without a silent source takes that source's panes in afterwards. For those only revisions are judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from schemas.topics import ALERTS, SCORES, VOICES
from schemas.types import Level

from .evidence import Evidence, content
from .judging import Finding, Judgement
from .states import States

__all__ = ["ordering"]


def ordering(evidence: Evidence, states: States) -> Judgement:
    """Whether everything stands in the order in which it happened."""
    findings = [
        *_positions(states),
        *(one for topic in (SCORES, VOICES, ALERTS) for one in _keys(evidence, topic)),
        *_panes(evidence),
    ]
    return Judgement(tuple(findings))


def _positions(states: States) -> Iterator[Finding]:
    for (source, partition), cuts in states.cuts.items():
        for before, cut in pairwise(cuts):
            if cut.position < before.position:
                text = f"the state of {source}-{partition} fell from {before.position} to {cut.position}"
                yield Finding(text, cut.place)
                break


def _keys(evidence: Evidence, topic: str) -> Iterator[Finding]:
    """Key = subject, and a subject has one partition, or there is no order to speak of."""
    homes: dict[str, int] = {}
    for place, record in evidence.records(topic):
        subject = str((content(record) or {}).get("subject", ""))
        if (record.key or b"").decode(errors="replace") != subject:
            yield Finding(f"its key is not its subject {subject!r}", place)
        elif homes.setdefault(subject, place.partition) != place.partition:
            yield Finding(f"{subject} is also in partition {homes[subject]}", place)


def _panes(evidence: Evidence) -> Iterator[Finding]:
    all_published = evidence.run.rules.get("emit") == "all"
    newest: dict[str, int] = {}
    revisions: dict[tuple[str, int], int] = {}
    for place, record in evidence.records(SCORES):
        score = content(record) or {}
        subject, end, revision = str(score.get("subject", "")), score.get("window_end"), score.get("revision")
        if not isinstance(end, int) or not isinstance(revision, int):
            yield Finding("no score record", place)
            continue
        known = revisions.get((subject, end))
        if known is None:
            ordered = all_published and subject.startswith(f"{Level.CONNECTION}:")
            if ordered and end <= newest.get(subject, end - 1):
                yield Finding(f"{subject}: the first word on {end} comes after that on {newest[subject]}", place)
            newest[subject] = max(end, newest.get(subject, end))
        elif revision < known:
            yield Finding(f"{subject} at {end}: revision {revision} after {known}", place)
        revisions[subject, end] = revision if known is None else max(known, revision)
