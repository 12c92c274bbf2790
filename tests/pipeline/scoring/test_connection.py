"""The state of a connection where the scorer's own tests do not reach: the ring's edge, recent scores, stored form."""

from __future__ import annotations

import msgspec

from pipeline.scoring.connection import ConnectionState, Fate, silence_of
from pipeline.scoring.evidence import PICO, Link, Weight
from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.scores import scores_at
from pipeline.scoring.track import Track
from schemas.registry import builtin_registry

RULES = ScoreRules()
SILENCE = silence_of(builtin_registry(), RULES)
DECAY = RULES.decay
PANE = RULES.pane
GOOD = Weight(
    "connection_established", 0.0, round(PICO), 0, True, False, False, round(PICO), Link.UP, False, False, True
)


def told(
    state: ConnectionState, pane: int, *, seam: str = "edge", weight: Weight = GOOD, after: int = 5
) -> tuple[str, ...]:
    order = (pane * PANE + after, "", pane)
    return state.fold(pane, seam, weight, order, weight.kind, 1.0, 1, RULES)


def test_an_empty_pane_is_none():
    track = Track(5)
    assert track.pane(4) is None
    track.open_pane(5)
    assert (track.pane(4), track.pane(6)) == (None, None)


def test_an_earlier_pane_extends_a_track_with_nothing_before():
    track = Track(5)
    track.open_pane(3)
    assert (track.base.number, [pane.number for pane in track.panes]) == (2, [3])


def test_before_the_ring_the_oldest_pane_takes_it():
    state = ConnectionState("c", None, 1)
    told(state, 1)
    told(state, 9)
    state.trim(8, RULES, DECAY)
    assert state.whole.open_pane(1).number == 2


def test_a_trimmed_state_scores_as_before_to_the_last_bit():
    whole, trimmed = ConnectionState("c", None, 1), ConnectionState("c", None, 1)
    for pane in range(1, 40, 3):
        told(whole, pane)
        told(trimmed, pane)
        trimmed.trim(pane - 15, RULES, DECAY)
    assert scores_at(trimmed.whole, 45, RULES, DECAY) == scores_at(whole.whole, 45, RULES, DECAY)
    assert len(trimmed.whole.panes) < len(whole.whole.panes)


def test_a_past_that_fell_behind_the_ring_is_reckoned_anew():
    state = ConnectionState("c", None, 1)
    told(state, 1)
    state.whole.upto(1, RULES, DECAY)
    told(state, 2)
    told(state, 9)
    expected = scores_at(state.whole.copy(), 9, RULES, DECAY)
    state.trim(8, RULES, DECAY)
    assert scores_at(state.whole, 9, RULES, DECAY) == expected


def test_one_seam_shares_the_whole_and_a_second_parts_them():
    state = ConnectionState("c", None, 1)
    told(state, 1)
    assert state.seams["edge"] is state.whole
    told(state, 1, seam="core")
    assert state.seams["edge"] is not state.whole
    events = {seam: track.panes[0].events for seam, track in state.seams.items()}
    assert (events, state.whole.panes[0].events) == ({"edge": 1, "core": 1}, 2)


def test_recent_scores_are_replaced_prepended_dropped_and_bounded():
    state = ConnectionState("c", None, 5)
    for pane in range(5, 9):
        state.remember(pane, (0.1, 0.2, pane / 10), 3)
    assert [moment[0] // PANE - 1 for moment in state.moments(PANE)] == [6, 7, 8]
    state.remember(7, (0.5, 0.6, 0.7), 3)
    state.remember(2, (0.9, 0.9, 0.9), 3)
    assert state.moments(PANE) == [
        (7 * PANE, 0.1, 0.2, 0.6),
        (8 * PANE, 0.5, 0.6, 0.7),
        (9 * PANE, 0.1, 0.2, 0.8),
    ]
    state.remember(20, (0.0, 0.0, 0.5), 3)
    assert state.moments(PANE) == [(21 * PANE, 0.0, 0.0, 0.5)]
    state.remember(19, (0.3, 0.3, 0.3), 3)
    assert [moment[0] // PANE - 1 for moment in state.moments(PANE)] == [19, 20]


def test_the_end_of_a_pane_judges_silence_and_forgetting():
    state = ConnectionState("c", None, 0)
    told(state, 0)
    fates = [state.step(pane, SILENCE, RULES) for pane in range(121)]
    assert [fate.seams for fate in fates[:5]] == [(), (), (), ("edge",), ("edge",)]
    assert fates[119].fate is Fate.ALIVE
    assert fates[120].fate is Fate.FORGOTTEN


def test_a_state_survives_being_stored():
    state = ConnectionState("c", "drill", 1)
    told(state, 1)
    told(state, 2, seam="core")
    told(state, 2, weight=SILENCE.weight, after=9)
    for pane in range(1, 8):
        state.step(pane, SILENCE, RULES)
        state.remember(pane, scores_at(state.whole, pane, RULES, DECAY).rounded(), 20)
    stored = msgspec.msgpack.encode(state.dump())
    twin = ConnectionState.load(msgspec.msgpack.decode(stored))
    assert msgspec.msgpack.encode(twin.dump()) == stored
    assert scores_at(twin.whole, 9, RULES, DECAY) == scores_at(state.whole, 9, RULES, DECAY)
    assert twin.hearsay == state.hearsay


def test_a_hearsay_older_than_the_ring_is_let_go():
    state = ConnectionState("c", None, 1)
    told(state, 1)
    told(state, 1, weight=SILENCE.weight, after=9)
    state.trim(9, RULES, DECAY)
    assert state.hearsay == []


def test_a_hearsay_that_moves_leaves_no_empty_pane_behind():
    state = ConnectionState("c", None, 1)
    told(state, 1, seam="edge")
    told(state, 1, seam="core", after=3)
    told(state, 2, seam="edge", weight=SILENCE.weight)
    assert told(state, 1, seam="core", after=9) == ("core", "edge")
    assert [pane.number for pane in state.seams["edge"].panes] == [1]
    assert [pane.number for pane in state.seams["core"].panes] == [1, 2]
