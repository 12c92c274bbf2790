"""What a worker refuses to start on, decided without a broker."""

from __future__ import annotations

import pytest

from pipeline.runtime.checkpoint import Destination
from pipeline.runtime.contract import Stage
from pipeline.runtime.meta import MetaRecord
from pipeline.runtime.opening import StartRefusedError, check_topics, judge_meta
from pipeline.runtime.options import KafkaOptions

KAFKA = KafkaOptions(topic_prefix="p")


def _never(_: object) -> None:
    raise AssertionError


STAGE = Stage("scorer", "events.v1", "state.scorer.v1", ("scores.v1",), _never)  # type: ignore[arg-type]  # never made
TO = Destination(KAFKA, "p-scorer", STAGE, 1, {"events.v1": 4, "state.scorer.v1": 4, "scores.v1": 2})


def meta(**changed: object) -> MetaRecord:
    fields = {"stage": "scorer", "topic": "events.v1", "partition": 1, "partitions": 4, "base": 0, "position": 9}
    return MetaRecord(**{**fields, "counts": {"scored": 9}, "gap": 0, "lost_by_retention": 0, **changed})  # type: ignore[arg-type]  # a table of cases


def test_counts_are_known_by_logical_name():
    found = check_topics([STAGE], {"p.events.v1": 4, "p.state.scorer.v1": 4, "p.scores.v1": 2, "other": 1}, KAFKA)
    assert found == {"events.v1": 4, "state.scorer.v1": 4, "scores.v1": 2}


def test_every_missing_topic_is_named():
    with pytest.raises(StartRefusedError) as refused:
        check_topics([STAGE], {"p.events.v1": 4}, KAFKA)
    assert str(refused.value) == (
        "missing topics: p.scores.v1, p.state.scorer.v1. Create them with: iskra topics apply"
    )


def test_state_that_fits_is_accepted():
    judge_meta(meta(), TO, end=9)


@pytest.mark.parametrize(
    ("changed", "end", "words"),
    [
        ({"partitions": 2}, 9, "was written while the topic had 2 partitions, now it has 4"),
        ({"stage": "rollup"}, 9, r"belongs to rollup on events.v1 \[1\]"),
        ({"partition": 2}, 9, r"belongs to scorer on events.v1 \[2\]"),
        ({}, 8, "goes on at offset 9, but the log ends at 8"),
    ],
)
def test_state_that_does_not_fit_is_refused_with_place_and_command(changed: dict[str, object], end: int, words: str):
    with pytest.raises(StartRefusedError, match=words) as refused:
        judge_meta(meta(**changed), TO, end)
    assert str(refused.value).startswith("state of scorer, partition 1 of p.events.v1 (p.state.scorer.v1), ")
    assert str(refused.value).endswith("Rebuild it with: iskra state rebuild scorer --partition 1")


def test_owners_of_a_partition_fence_each_other_under_a_name_without_host_or_process():
    assert TO.transactional_id == "p-scorer-events.v1-1"
