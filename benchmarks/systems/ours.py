"""This product: ``iskra worker scorer-0``, the process that is deployed, with its default settings.

It does more than the peers' job: every check of the input, three scores, four voices, partial sums of seams, rejected
and late topics, state; all of it in one transaction per partition and checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import version

import msgspec

from benchmarks.ground import Filled, Ground, Read
from iskra.chaos.oracle import OracleEvent, OracleResult, OracleRules, Verdict, evaluate
from schemas import topics
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.scores import ScoreRecord
from schemas.types import Level, Origin
from tests.oracle.comparing import differences

from .contract import Agreement, Launch

__all__ = ["Ours", "counts_of"]

_WRITTEN = (
    topics.STATE_SCORER,
    topics.SCORES,
    topics.VOICES,
    topics.PARTIALS,
    topics.EVENTS_REJECTED,
    topics.EVENTS_LATE,
)
_FOR_EVER = {"retention.ms": "-1"}


class Ours:
    """The scorer."""

    name = "iskra"

    def __init__(self, *, emit: str = "changed", member: str = "scorer-0", **more: str) -> None:
        self._emit = emit
        self._member = member
        self._more = more

    def version(self) -> str:
        """Of the checkout."""
        return version("iskra-voices")

    def settings(self) -> str:
        """What is not a default."""
        return f"one worker, emit={self._emit}, checkpoint 200 ms, a transaction per partition and checkpoint"

    def prepare(self) -> None:
        """Nothing to build."""

    def reset(self, ground: Ground, filled: Filled) -> None:
        """All topics but the events are made anew, and the group is forgotten."""
        prefix, partitions = prefix_of(filled), filled.load.partitions
        ground.delete_group(f"{prefix}-scorer")
        ground.delete(f"{prefix}.{name}" for name in _WRITTEN)
        ground.create((f"{prefix}.{name}", partitions, topics.by_name(name).config() | _FOR_EVER) for name in _WRITTEN)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """The worker of the command line, set by the environment."""
        prefix = prefix_of(filled)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ISKRA_")}
        settings = {
            "ISKRA_KAFKA__BOOTSTRAP": ground.bootstrap,
            "ISKRA_KAFKA__TOPIC_PREFIX": prefix,
            "ISKRA_SCORING__EMIT": self._emit,
            **self._more,
        }
        command = [sys.executable, "-m", "iskra.commands.main", "worker", self._member, "--port", "0"]
        return Launch(command, clean | settings, f"{prefix}-scorer")

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every outcome, and every score of every connection in every pane, to the sixth decimal."""
        prefix = prefix_of(filled)
        logs = _logs(ground.read(filled.topic), filled.load.partitions)
        result = evaluate(logs, OracleRules(builtin_registry()))
        told = {
            (score.subject, score.window_end): score
            for score in (
                ScoreRecord.model_validate_json(one.value)
                for one in ground.read(f"{prefix}.{topics.SCORES}")
                if one.value is not None
            )
        }
        expected = {place: score for place, score in result.scores.items() if score.level is Level.CONNECTION}
        found = differences(told, expected)
        counts, right = counts_of(ground, filled), _verdicts(result)
        if counts != right:
            found.append(f"outcomes are {counts}, by the oracle {right}")
        return Agreement(sum(map(len, logs)), len(told.keys() | expected.keys()) + sum(right.values()), found)


def prefix_of(filled: Filled) -> str:
    """The topics' prefix of a filled events topic."""
    return filled.topic.removesuffix(f".{topics.EVENTS}")


def counts_of(ground: Ground, filled: Filled) -> dict[str, int]:
    """Outcomes by the worker's books: the last meta record of each partition, summed."""
    last: dict[int, bytes] = {}
    for one in ground.read(f"{prefix_of(filled)}.{topics.STATE_SCORER}"):
        if one.key == b"!meta" and one.value is not None:
            last[one.partition] = one.value
    total: dict[str, int] = {}
    for value in last.values():
        for outcome, count in msgspec.json.decode(value)["counts"].items():
            total[outcome] = total.get(outcome, 0) + count
    return dict(sorted(total.items()))


def _logs(records: Iterable[Read], partitions: int) -> list[list[OracleEvent]]:
    registry = builtin_registry()
    logs: list[list[OracleEvent]] = [[] for _ in range(partitions)]
    for one in records:
        value = one.value or b""
        decoded = decode_event(value, Origin(one.key, one.partition, one.offset, one.timestamp), registry)
        event = decoded if isinstance(decoded, HotEvent) else None
        logs[one.partition].append(OracleEvent(one.offset, one.timestamp, event, value))
    return logs


def _verdicts(result: OracleResult) -> dict[str, int]:
    """The oracle's verdicts in the scorer's words."""
    words = {Verdict.ID_CONFLICT: "rejected", Verdict.NO_EVENT: "rejected", Verdict.UNSCORED: "scored"}
    total: dict[str, int] = {}
    for verdicts in result.verdicts:
        for verdict in verdicts:
            word = words.get(verdict, verdict.value)
            total[word] = total.get(word, 0) + 1
    return dict(sorted(total.items()))
