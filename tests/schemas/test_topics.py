"""The topics as operations.md 7 has them."""

from __future__ import annotations

import re

import pytest

from schemas import topics
from schemas.topics import ALL, by_name, planned

DAY = 86_400_000

# name: partitions, days kept, cleanup, clock
TABLE = {
    "events.v1": (12, 3, "delete", "LogAppendTime"),
    "events.rejected.v1": (12, 14, "delete", "CreateTime"),
    "events.late.v1": (12, 7, "delete", "CreateTime"),
    "scores.v1": (12, 7, "delete", "CreateTime"),
    "voices.v1": (12, 30, "delete", "CreateTime"),
    "partials.v1": (12, 1, "delete", "CreateTime"),
    "routing.v1": (1, 30, "delete", "LogAppendTime"),
    "alerts.v1": (6, 30, "delete", "CreateTime"),
    "intents.v1": (6, 30, "delete", "CreateTime"),
    "notifications.v1": (6, 90, "compact,delete", "CreateTime"),
    "notifications.dead.v1": (6, 30, "delete", "CreateTime"),
    "control.v1": (1, None, "compact", "CreateTime"),
    "meta.v1": (1, 30, "delete", "CreateTime"),
    "state.scorer.v1": (12, None, "compact", "CreateTime"),
    "state.rollup.v1": (12, None, "compact", "CreateTime"),
    "state.intake.v1": (12, None, "compact", "CreateTime"),
    "state.router.v1": (1, None, "compact", "CreateTime"),
    "state.dispatcher.v1": (6, None, "compact", "CreateTime"),
}


def test_every_topic_is_kept_as_the_design_says():
    assert {
        topic.name: (
            topic.partitions,
            topic.retention_ms // DAY if topic.retention_ms else None,
            topic.cleanup,
            topic.timestamp_type,
        )
        for topic in ALL
    } == TABLE


def test_every_topic_has_a_constant_and_a_legal_name():
    constants = {value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(TABLE)
    assert all(re.fullmatch(r"[a-z.]+\.v[1-9]", name) for name in TABLE)
    assert [by_name(topic.name) for topic in ALL] == list(ALL)


def test_a_state_topic_has_as_many_partitions_as_its_source_in_every_plan():
    for wanted in (None, 1, 2, 40):
        plan = {topic.name: topic for topic in planned(wanted)}
        states = [topic for topic in plan.values() if topic.source]
        assert [topic.name for topic in states] == [name for name in TABLE if name.startswith("state.")]
        assert all(plan[topic.source].partitions == topic.partitions for topic in states if topic.source)


def test_a_plan_changes_the_topics_that_are_shared_out():
    assert planned(None) == ALL
    assert {topic.name for topic in planned(4) if topic.partitions != 4} == {
        "routing.v1", "control.v1", "meta.v1", "state.router.v1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config"),
    [
        (
            topics.EVENTS,
            {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": str(3 * DAY)},
        ),
        (
            topics.EVENTS_REJECTED,
            {
                "cleanup.policy": "delete",
                "message.timestamp.type": "CreateTime",
                "retention.ms": str(14 * DAY),
                "max.message.bytes": "1114124",
            },
        ),
        (
            topics.STATE_SCORER,
            {
                "cleanup.policy": "compact",
                "message.timestamp.type": "CreateTime",
                "min.compaction.lag.ms": "60000",
            },
        ),
    ],
)
def test_a_topics_settings_are_named_as_kafka_names_them(name, config):
    assert by_name(name).config() == config


def test_a_name_no_topic_has_is_a_fault():
    with pytest.raises(KeyError):
        by_name("gossip.v1")
