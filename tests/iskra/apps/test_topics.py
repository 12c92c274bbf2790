"""The plan for a cluster's topics: what is there in, steps out."""

from __future__ import annotations

import pytest

from iskra.apps.topics import Present, Step, plan
from iskra.problems import Problem
from schemas.topics import ALL, Topic, planned

EVENTS = Topic("events.v1", "connection id", "ConnectionEvent", 12, 1_000, timestamp_type="LogAppendTime")
CONFIG = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "1000"}


def test_a_topic_that_is_not_there_is_created() -> None:
    assert plan([EVENTS], {}, "x") == [Step("x.events.v1", "create", 12, CONFIG)]


def test_a_topic_as_it_should_be_is_kept_whatever_else_is_set_on_it() -> None:
    present = {"x.events.v1": Present(12, {**CONFIG, "min.insync.replicas": "2"})}
    assert plan([EVENTS], present, "x") == [Step("x.events.v1", "keep", 12, {})]


def test_only_settings_that_differ_are_changed() -> None:
    present = {"x.events.v1": Present(12, {**CONFIG, "retention.ms": "7"})}
    assert plan([EVENTS], present, "x") == [Step("x.events.v1", "change", 12, {"retention.ms": "1000"})]


def test_another_number_of_partitions_is_kept_and_noted() -> None:
    present = {"x.events.v1": Present(3, CONFIG)}
    assert plan([EVENTS], present, "x") == [Step("x.events.v1", "keep", 3, {}, "has 3 partitions, default 12")]


def test_partitions_asked_for_in_words_are_never_silently_other() -> None:
    with pytest.raises(Problem, match=r"x\.events\.v1 keeps its 3 partitions"):
        plan([EVENTS], {"x.events.v1": Present(3, CONFIG)}, "x", partitions_given=True)


def test_a_plan_names_each_topic_once_and_a_second_one_has_nothing_to_do() -> None:
    steps = plan(planned(4), {}, "iskra")
    assert [step.topic for step in steps] == [f"iskra.{topic.name}" for topic in ALL]
    present = {step.topic: Present(step.partitions, step.config) for step in steps}
    assert {step.action for step in plan(planned(4), present, "iskra", partitions_given=True)} == {"keep"}
