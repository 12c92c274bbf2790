"""Cuts read from a state topic's log, and the steps of the clock that stand between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iskra.chaos.evidence import Evidence
from iskra.chaos.judging import Place
from iskra.chaos.ledger import Logged, Run
from iskra.chaos.oracle import ClockStep
from iskra.chaos.states import Cut, EventTime, clock_steps, read_states
from pipeline.runtime.contract import Assignment, LogRecord
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.registry import builtin_registry
from schemas.topics import PARTIALS
from schemas.types import Instant

from .ledgers import BEGIN, core, meta

LAG = 2_000
RUN = Run(seed=None, began=BEGIN, ended=BEGIN)


def _evidence(*records: Logged) -> Evidence:
    return Evidence(run=RUN, logs={("state.scorer.v1", 0): records})


def _cut(position: int, time: EventTime | None, at: Instant = BEGIN) -> Cut:
    return Cut(Place("state.scorer.v1", 0, position), at, 0, position, {"scored": position}, 0, 0, time)


def _time(watermark: Instant, highest: Instant, *, held_since: Instant | None = None, clock: Instant = 0) -> EventTime:
    return EventTime(watermark, highest, highest, held_since, clock)


def test_a_cut_is_a_meta_record_with_the_event_time_before_it() -> None:
    states = read_states(
        _evidence(
            Logged(0, 10, b"core", core(1, 2, 3, 4)),
            Logged(1, 10, b"!meta", meta(5, {"scored": 4}, gap=1)),
            Logged(3, 20, b"!meta", meta(6, {"scored": 5}, gap=1)),
        )
    )
    first = replace(_cut(5, EventTime(1, 2, 3, None, 4)), at=10, counts={"scored": 4}, gap=1)
    cuts = states.of("events.v1")[0]
    assert [replace(cut, place=first.place) for cut in cuts] == [
        first,
        replace(first, at=20, position=6, counts={"scored": 5}),
    ]
    assert [str(cut.place) for cut in cuts] == ["state.scorer.v1-0@1", "state.scorer.v1-0@3"]
    assert [cut.unaccounted for cut in cuts] == [0, 0]
    assert (states.faults, states.sources(), states.position("events.v1", 0)) == ((), ["events.v1"], 6)


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (Logged(0, 1, b"!meta", b"{"), "state.scorer.v1-0@0: its meta record is not readable"),
        (
            Logged(0, 1, b"core", b"\xc1"),
            "state.scorer.v1-0@0: the scorer's event time cannot be read from its core record",
        ),
        (
            Logged(0, 1, b"core", b"\x91\x63"),
            "state.scorer.v1-0@0: the scorer's event time cannot be read from its core record",
        ),
    ],
)
def test_a_state_record_that_cannot_be_read_is_named(record: Logged, fault: str) -> None:
    assert read_states(_evidence(record)).faults == (fault,)


def test_a_stage_that_never_ran_has_no_cuts() -> None:
    states = read_states(_evidence())
    assert (states.sources(), states.of("events.v1"), states.position("events.v1", 0)) == ([], {}, 0)


STEPS = [
    ("records alone move it", [_time(8, 10), _time(18, 20)], []),
    ("before everything", [_time(-(1 << 53), -(1 << 53))], []),
    ("the clock moves it", [_time(8, 10), _time(60, 10, clock=99)], [ClockStep(0, 60, 99)]),
    (
        "and again",
        [_time(8, 10), _time(60, 10, clock=99), _time(90, 10, clock=130)],
        [ClockStep(0, 60, 99), ClockStep(1, 90, 130)],
    ),
    ("it stands still", [_time(60, 10, clock=99), _time(60, 10, clock=99)], [ClockStep(0, 60, 99)]),
    ("records behind a step", [_time(8, 10), _time(60, 30, clock=99)], [ClockStep(0, 60, 99)]),
]


@pytest.mark.parametrize(("what", "times", "steps"), STEPS, ids=[one[0] for one in STEPS])
def test_a_watermark_beyond_what_was_accepted_was_moved_by_the_clock(
    what: str, times: list[EventTime], steps: list[ClockStep]
) -> None:
    scale = 100_000
    larger = [
        EventTime(t.watermark * scale, t.highest * scale, None, None, t.clock * scale) if t.watermark > 0 else t
        for t in times
    ]
    cuts = tuple(_cut(number + 1, time) for number, time in enumerate(larger))
    expected = [ClockStep(s.after_offset, (s.watermark or 0) * scale, (s.now or 0) * scale) for s in steps]
    assert clock_steps(cuts, LAG * 100) == expected


def test_a_hold_that_ends_without_a_record_was_ended_by_the_clock() -> None:
    held, free = (
        _time(BEGIN, BEGIN + 90_000, held_since=BEGIN),
        _time(BEGIN + 88_000, BEGIN + 90_000, clock=BEGIN + 95_000),
    )
    assert clock_steps((_cut(4, held), _cut(4, free)), LAG) == [ClockStep(3, None, BEGIN + 95_000)]
    assert clock_steps((_cut(4, held), _cut(5, free)), LAG) == []


def test_the_scorers_own_state_record_can_be_read() -> None:
    scorer = Scorer(Assignment(0, {PARTIALS: 1}), ScoreRules(), builtin_registry())
    beat = b'{"delta":"heartbeat_success","ts":%d}' % BEGIN
    scorer.apply([LogRecord("events.v1", 0, 0, BEGIN + 1_000, b"c-1", beat)], BEGIN + 1_000)
    written = [Logged(n, BEGIN, one.key, one.value) for n, one in enumerate(scorer.snapshot())]
    states = read_states(_evidence(*written, Logged(len(written), BEGIN, b"!meta", meta(1, {"scored": 1}))))
    assert states.faults == ()
    assert states.of("events.v1")[0][0].time == EventTime(BEGIN - LAG, BEGIN, BEGIN + 1_000, None, BEGIN + 1_000)
