"""The id memory: repeats, conflicts, horizon, caps, what the state holds of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.scoring.repeats import IdChunk, Repeat, RepeatMemory
from pipeline.scoring.rules import ScoreRules

RULES = ScoreRules()
HOUR = 3_600_000


def remembered(*rows: tuple[str, str, int], rules: ScoreRules = RULES) -> RepeatMemory:
    memory = RepeatMemory(rules)
    for connection, event, time in rows:
        memory.reserve(connection, event, time, b"bytes")
    return memory


def test_the_same_bytes_are_a_duplicate_and_others_a_conflict():
    memory = remembered(("c", "e", 1_000))
    assert memory.ask("c", "e", b"bytes", 1_000) is Repeat.DUPLICATE
    assert memory.ask("c", "e", b"other", 1_000) is Repeat.CONFLICT
    assert memory.ask("c", "f", b"bytes", 1_000) is Repeat.NEW
    assert memory.ask("d", "e", b"bytes", 1_000) is Repeat.NEW


@pytest.mark.parametrize(("watermark", "repeat"), [(1_000 + HOUR - 1, Repeat.DUPLICATE), (1_000 + HOUR, Repeat.NEW)])
def test_a_repeat_is_recognised_within_the_horizon(watermark, repeat):
    assert remembered(("c", "e", 1_000)).ask("c", "e", b"bytes", watermark) is repeat


def test_what_is_past_the_horizon_is_dropped():
    memory = remembered(("c", "old", 1_000), ("c", "new", 2_000), ("d", "old", 1_000))
    memory.expire(1_000 + HOUR)
    assert len(memory) == 1
    assert memory.ask("c", "new", b"bytes", 0) is Repeat.DUPLICATE


def test_a_connection_with_too_many_ids_loses_its_oldest():
    memory = remembered(("c", "1", 1), ("c", "2", 2), ("c", "3", 3), ("d", "1", 1), rules=replace(RULES, max_ids=2))
    assert memory.ask("c", "1", b"bytes", 0) is Repeat.NEW
    assert memory.ask("c", "2", b"bytes", 0) is Repeat.DUPLICATE
    assert (memory.evicted, len(memory)) == (1, 3)


def test_the_state_gets_new_ids_once_and_drops_chunks_past_the_horizon():
    memory = remembered(("c", "1", 1_000))
    first = list(memory.chunks(0))
    assert [(chunk.number, [row[:3] for row in chunk.rows or []]) for chunk in first] == [(0, [("c", "1", 1_000)])]
    assert list(memory.chunks(0)) == []
    memory.reserve("c", "2", 2_000, b"x")
    assert [chunk.number for chunk in memory.chunks(0)] == [1]
    assert list(memory.chunks(1_000 + HOUR)) == [IdChunk(0, None)]


def test_what_is_new_is_stored_in_chunks_that_a_broker_takes():
    memory = remembered(*((f"c-{n % 7}", f"e-{n}", n) for n in range(4_001)))
    chunks = list(memory.chunks(0))
    assert [(chunk.number, len(chunk.rows or ())) for chunk in chunks] == [(0, 2_000), (1, 2_000), (2, 1)]
    twin = RepeatMemory(RULES)
    twin.restore((chunk.number, [list(row) for row in chunk.rows or ()]) for chunk in chunks)
    assert len(twin) == 4_001


def test_a_restored_memory_knows_what_the_stored_one_knew():
    memory = remembered(("c", "1", 1_000), ("d", "2", 2_000))
    chunks = [(chunk.number, [list(row) for row in chunk.rows or []]) for chunk in memory.chunks(0)]
    memory.reserve("c", "3", 3_000, b"bytes")
    chunks += [(chunk.number, [list(row) for row in chunk.rows or []]) for chunk in memory.chunks(0)]
    twin = RepeatMemory(RULES)
    twin.restore(reversed(chunks))
    assert [twin.ask(c, e, b"bytes", 0) for c, e in (("c", "1"), ("d", "2"), ("c", "3"))] == [Repeat.DUPLICATE] * 3
    twin.reserve("c", "4", 4_000, b"x")
    assert [chunk.number for chunk in twin.chunks(0)] == [2]


def test_an_id_that_may_be_used_again_is_remembered_with_its_new_time():
    memory = remembered(("c", "e", 1_000), ("c", "f", 2_000))
    memory.reserve("c", "e", 1_000 + HOUR, b"other")
    memory.expire(2_000 + HOUR)
    assert memory.ask("c", "e", b"other", 2_000 + HOUR) is Repeat.DUPLICATE
