"""Log and counter cannot part."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

import pytest

from pipeline.runtime import instruments as module
from pipeline.runtime.instruments import (
    CallFailed,
    CheckpointCommitted,
    CheckpointFailed,
    Fenced,
    FetchFailed,
    Happening,
    Instruments,
    LostByRetention,
    PartitionOpened,
    Ready,
    Rebalanced,
    RecordRaised,
    Stalled,
)
from schemas.metrics import ALL

TOLD: list[tuple[Happening, str, dict[str, str], float]] = [
    (Ready("r", "r-0", {"s": (0,)}, 0.5), "iskra_start_seconds", {"phase": "ready"}, 0.5),
    (Rebalanced({"s": ()}), "iskra_rebalances_total", {}, 1.0),
    (PartitionOpened("s", 0, 7, 3, 0.1), "iskra_state_keys", {"stage": "s", "partition": "0"}, 3.0),
    (LostByRetention("s", 0, 5, 7), "iskra_lost_by_retention_total", {"stage": "s", "partition": "0"}, 5.0),
    (CheckpointCommitted("s", 0, 7, 4, 2, 0.01), "iskra_outputs_total", {"stage": "s"}, 4.0),
    (CheckpointCommitted("s", 0, 7, 4, 2, 0.01), "iskra_checkpoint_seconds_count", {"stage": "s"}, 1.0),
    (CheckpointFailed("s", 0, "e", 1), "iskra_produce_errors_total", {"stage": "s"}, 1.0),
    (Fenced("s", 0), "iskra_fenced_total", {"stage": "s"}, 1.0),
    (FetchFailed("e"), "iskra_fetch_errors_total", {}, 1.0),
    (RecordRaised("s", 0, 7, "e", "d"), "iskra_records_raised_total", {"stage": "s"}, 1.0),
    (Stalled("r", "…"), "iskra_stalls_total", {}, 1.0),
    (CallFailed("s", 0, "e"), "iskra_call_errors_total", {"stage": "s"}, 1.0),
]


@pytest.mark.parametrize(
    ("happening", "name", "labels", "value"), TOLD, ids=lambda value: getattr(type(value), "event", None)
)
def test_what_is_told_is_logged_and_counted(
    happening: Happening, name: str, labels: dict[str, str], value: float, caplog: pytest.LogCaptureFixture
):
    instruments = Instruments("role")
    with caplog.at_level(logging.DEBUG, logger="iskra.role"):
        instruments.tell(happening)
    assert instruments.registry.get_sample_value(name, labels) == value
    (record,) = caplog.records
    assert (record.message, record.levelno, record.name) == (happening.event, happening.level, "iskra.role")
    for field in fields(happening):
        assert getattr(record, field.name) == getattr(happening, field.name)


def _kinds() -> list[type[Any]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Happening) and kind is not Happening
    ]


def test_no_field_collides_with_the_log_records_own():
    own = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "ts", "event", "logger"}
    assert {field.name for kind in _kinds() for field in fields(kind)} & own == set()


def test_event_names_are_told_apart():
    events = [kind.event for kind in _kinds()]
    assert len(events) == len(set(events))


def test_a_partition_given_back_leaves_the_gauges():
    instruments = Instruments("role")
    instruments.lag.labels("s", 0).set(3)
    instruments.forget("s", 0)
    instruments.forget("s", 0)
    assert instruments.registry.get_sample_value("iskra_lag_records", {"stage": "s", "partition": "0"}) is None


def test_every_metric_of_a_worker_is_in_the_catalogue_with_its_kind():
    catalogue = {metric.full_name.removesuffix("_total"): metric.kind for metric in ALL}
    families = {family.name: family.type for family in Instruments("role").registry.collect()}
    assert families.items() <= catalogue.items()
