"""Where published scores and the oracle's part, in words."""

from __future__ import annotations

from collections.abc import Mapping

from iskra.chaos.oracle import OracleScore
from schemas.scores import ScoreRecord
from schemas.types import Instant, Level

CLOSE = 1.000001e-6
"""One unit of the sixth decimal: both sides round, and sums may be added in another order."""


def facts_of_oracle(score: OracleScore) -> dict[str, object]:
    return {
        "pain": score.pain,
        "chaos": score.chaos,
        "trust": score.trust,
        "omega_pain": score.omega.pain,
        "omega_chaos": score.omega.chaos,
        "omega_trust": score.omega.trust,
        "dimension": score.dimension,
        "counts": tuple(score.counts),
        "link_state": score.link_state,
        "children": score.children,
        "over": tuple(score.children_over) if score.children_over else None,
        "worst": score.worst_child,
    }


def facts_of_record(record: ScoreRecord) -> dict[str, object]:
    counts, over = record.counts, record.children_over
    return {
        "pain": record.pain,
        "chaos": record.chaos,
        "trust": record.trust,
        "omega_pain": record.omega.pain,
        "omega_chaos": record.omega.chaos,
        "omega_trust": record.omega.trust,
        "dimension": record.dimension,
        "counts": (counts.events, counts.successes, counts.failures, counts.anomalies),
        "link_state": record.link_state,
        "children": record.children,
        "over": (over.pain, over.chaos, over.distrust) if over else None,
        "worst": record.worst_child,
    }


def _same(one: object, other: object) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= CLOSE
    return one == other


def differences(
    published: Mapping[tuple[str, Instant], ScoreRecord], expected: Mapping[tuple[str, Instant], OracleScore]
) -> list[str]:
    """One line per field that differs and per record that only one side has."""
    found: list[str] = []
    for key in sorted(
        published.keys() | expected.keys(),
        key=lambda key: (key[1], list(Level).index(Level(key[0].split(":")[0])), key[0]),
    ):
        subject, end = key
        record, score = published.get(key), expected.get(key)
        if record is None:
            found.append(f"{subject} at {end}: not published")
        elif score is None:
            found.append(f"{subject} at {end}: published, but the oracle knows of none")
        else:
            ours, theirs = facts_of_record(record), facts_of_oracle(score)
            found += [
                f"{subject} at {end}: {name} is {ours[name]}, by the oracle {theirs[name]}"
                for name in ours
                if not _same(ours[name], theirs[name])
            ]
    return found
