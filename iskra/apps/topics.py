"""The topics a cluster should have against those it has: a plan, and carrying it out.

The plan is pure: wanted topics and what the cluster says in, steps out. Nothing is ever deleted and a partition count
is never changed: a worker's state belongs to its partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from iskra.problems import Problem
from schemas.topics import Topic

__all__ = ["Present", "Step", "apply", "describe", "plan"]


@dataclass(frozen=True, slots=True)
class Present:
    """A topic as the cluster has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one topic."""

    topic: str
    """Its name on the cluster."""
    action: Literal["create", "change", "keep"]
    partitions: int
    config: Mapping[str, str]
    """The settings to create it with, or those to change."""
    note: str = ""


def plan(
    wanted: Iterable[Topic], present: Mapping[str, Present], prefix: str, *, partitions_given: bool = False
) -> list[Step]:
    """One step per topic, in the order given.

    Shape: ``present`` by name on the cluster. A differing partition count is kept and noted.
    Errors: Problem when partitions were asked for in words and the cluster has another number.
    """
    steps: list[Step] = []
    for topic in wanted:
        name = f"{prefix}.{topic.name}"
        config = topic.config()
        there = present.get(name)
        if there is None:
            steps.append(Step(name, "create", topic.partitions, config))
            continue
        note = ""
        if there.partitions != topic.partitions:
            if partitions_given:
                msg = (
                    f"{name} keeps its {there.partitions} partitions: leave --partitions out, or set kafka.topic_prefix"
                )
                raise Problem(msg)
            note = f"has {there.partitions} partitions, default {topic.partitions}"
        changed = {key: value for key, value in config.items() if there.config.get(key) != value}
        steps.append(Step(name, "change" if changed else "keep", there.partitions, changed, note))
    return steps


def describe(admin: Any, names: Sequence[str]) -> dict[str, Present]:
    """Which of these topics the cluster has, and how."""
    from kafka.admin import ConfigResource, ConfigResourceType

    existing = sorted(set(names) & set(admin.list_topics()))
    if not existing:
        return {}
    counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(existing)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in existing]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: Present(counts[name], {key: str(entry["value"]) for key, entry in configs[name].items()})
        for name in existing
    }


def apply(admin: Any, steps: Iterable[Step], *, replicas: int = -1) -> None:
    """Create and change what the plan says; replicas −1 is the cluster's default."""
    from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
    from kafka.errors import TopicAlreadyExistsError

    steps = list(steps)
    fresh = [
        NewTopic(
            step.topic, num_partitions=step.partitions, replication_factor=replicas, topic_configs=dict(step.config)
        )
        for step in steps
        if step.action == "create"
    ]
    if fresh:
        try:
            admin.create_topics(fresh, wait_for_metadata=True)
        except TopicAlreadyExistsError as error:
            msg = "somebody else created topics at the same moment: again, iskra topics apply"
            raise Problem(msg) from error
    changes = [
        ConfigResource(ConfigResourceType.TOPIC, step.topic, dict(step.config))
        for step in steps
        if step.action == "change"
    ]
    if changes:
        admin.alter_configs(changes, incremental=True)
