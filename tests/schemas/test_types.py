"""Subjects and ids."""

from __future__ import annotations

import pytest

from schemas.ids import record_id
from schemas.types import Level, join_subject, split_subject


@pytest.mark.parametrize(
    ("level", "name", "experiment", "subject"),
    [
        (Level.CONNECTION, "c-1", None, "connection:c-1"),
        (Level.CONNECTION, "agent:demo", None, "connection:agent:demo"),
        (Level.SEAM, "data_contract", "drill-7", "seam:data_contract@drill-7"),
        (Level.ECOSYSTEM, "iskra", "", "ecosystem:iskra"),
    ],
)
def test_a_subject_is_its_level_and_its_name(level, name, experiment, subject):
    assert join_subject(level, name, experiment) == subject
    assert split_subject(subject) == (level, f"{name}@{experiment}" if experiment else name)


def test_an_id_depends_on_its_parts_their_order_and_their_borders_only():
    assert record_id("seam:a", 30_000, 1) == record_id("seam:a", "30000", 1)
    assert len({record_id("a", "b"), record_id("b", "a"), record_id("ab"), record_id("ab", "")}) == 4
    assert record_id("connection:c-1", 0, 0) == "b717a427df97a1d77631ee4f59de6311"
