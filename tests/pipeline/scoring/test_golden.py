"""The golden numbers of semantics.md 6, through the whole scorer: bytes in, records out."""

from __future__ import annotations

import pytest

from schemas.types import VoiceName

from .scenes import Scene, base, beats, blip, fact, slow_beats

ALARM, CONCERN, CURIOSITY = VoiceName.ALARM, VoiceName.CONCERN, VoiceName.CURIOSITY

HEALTHY = [*base(), *beats(30, 900)]
DOWN_AT = 605
HARD_DOWN = [
    *base(),
    *beats(30, 600),
    fact(DOWN_AT, "connection_lost"),
    *(
        fact(DOWN_AT + after, "connection_failed")
        for after in (1, 2.5, 4.75, 8.125, 13.185, 20.775, 32.165, 49.255, 74.885, 75.885)
    ),
    fact(DOWN_AT + 75.885, "fallback_activated"),
]
CHRONIC_FAILURES = [
    *base(),
    *(
        fact(second, "connection_failed" if second % 120 == 15 else "message_processed")
        for second in range(15, 420, 30)
    ),
]
CHRONIC_TIMEOUTS = [*base(), *beats(30, 600), *(fact(second, "heartbeat_timeout") for second in range(600, 1140, 60))]
THREE_TIMEOUTS = [
    *base(),
    *beats(30, 800),
    *(fact(second, "heartbeat_timeout") for second in (840, 870, 900)),
    fact(910, "connection_lost"),
]

ROWS = {
    "base at 30": (base(), 30, 0, 0, 0.592, None),
    "base and beats at 120": ([*base(), *beats(30, 120)], 120, 0, 0, 0.722, None),
    "healthy, a beat each 30 s": (HEALTHY, 900, 0, 0, 0.839, None),
    "healthy, a beat each 10 s": ([*base(), *beats(30, 900, every=10)], 900, 0, 0, 0.845, None),
    "one blip": ([*HEALTHY, *blip(870)], 900, 0.450, 0.254, 0.734, None),
    "two blips": ([*HEALTHY, *blip(800), *blip(870)], 900, 0.698, 0.419, 0.675, None),
    "three blips": ([*HEALTHY, *blip(790), *blip(830), *blip(870)], 900, 0.834, 0.537, 0.619, ALARM),
    "slow flapping": (
        [*base(), *beats(30, 1200), *blip(650), *blip(750), *blip(850)],
        900,
        0.450,
        0.537,
        0.659,
        CURIOSITY,
    ),
    "hard down at 630": (HARD_DOWN, 630, 0.962, 0.320, 0.600, ALARM),
    "hard down at 690": (HARD_DOWN, 690, 1.000, 0.443, 0.385, ALARM),
    "fresh link, one failure": ([fact(1, "connection_failed")], 30, 0.590, 0.082, 0.357, None),
    "fresh link, two failures": (
        [fact(1, "connection_failed"), fact(2, "connection_failed")],
        30,
        0.832,
        0.125,
        0.278,
        ALARM,
    ),
    "chronic failures": (CHRONIC_FAILURES, 420, 0.590, 0.150, 0.296, CONCERN),
    "chronic timeouts": (CHRONIC_TIMEOUTS, 1140, 0.482, 0.167, 0.290, CONCERN),
    "three timeouts, then lost": (THREE_TIMEOUTS, 930, 0.795, 0.293, 0.489, ALARM),
    "latency 300": (slow_beats(300, until=900), 900, 0, 0, 0.757, None),
    "latency 600": (slow_beats(600, until=900), 900, 0.329, 0, 0.247, CONCERN),
    "latency 1000": (slow_beats(1_000, until=900), 900, 0.739, 0, 0.247, ALARM),
    "latency 4000": (slow_beats(4_000, until=900), 900, 0.924, 0, 0.163, ALARM),
}


@pytest.mark.parametrize(("facts", "second", "pain", "chaos", "trust", "voice"), ROWS.values(), ids=ROWS.keys())
def test_a_golden_scenario_is_reproduced(facts, second, pain, chaos, trust, voice):
    told = Scene().play([one for one in facts if one[0] < second], until=second)
    assert tuple(round(score, 3) for score in told.triad(second)) == (pain, chaos, trust)
    assert told.speaker(second) is voice


@pytest.mark.parametrize(
    ("delta", "pain", "voice"),
    [
        ("protocol_violation", 0.749, ALARM),
        ("auth_failed", 0.749, ALARM),
        ("error_detected", 0.511, None),
        ("fallback_activated", 0.762, ALARM),
    ],
)
def test_one_grave_event_on_a_healthy_link_is_loud_but_not_the_end_of_trust(delta, pain, voice):
    told = Scene().play([*HEALTHY, fact(880, delta)], until=900)
    score = told.last()[900.0]
    assert round(score.pain, 3) == pain
    assert round(score.chaos, 3) <= 0.175
    assert 0.725 <= score.trust <= 0.745
    assert told.speaker(900) is voice


def test_hard_down_alarms_within_the_first_failures_clears_after_90_s_and_celebrates_7_minutes_after_recovery():
    told = Scene().play([*HARD_DOWN, fact(720, "reconnection_success"), *beats(750, 1300)], until=1290)
    assert told.said() == [(630, "raised", "Alarm"), (810, "cleared", "Alarm"), (1140, "celebrated", "Celebration")]
    cleared = next(voice for voice in told.voices if voice.delta == "voice_cleared")
    assert cleared.reason == "recovered"


@pytest.mark.parametrize(
    ("dimension", "pain", "voice"), [(1, 0.700000, None), (2, 0.719410, ALARM), (10, 0.835683, ALARM)]
)
def test_a_boundary_vector_is_met_to_the_sixth_decimal(dimension, pain, voice):
    hurt = fact(
        5,
        "something_odd",
        dimension=dimension,
        omega=1.0,
        **{"lambda": "look_here"},
        fractal_metadata={"voice_pain": 0.7},
    )
    told = Scene().play([hurt], until=30)
    assert told.triad(30)[0] == pain
    assert told.speaker(30) is voice


def test_beats_to_270_and_nothing_more_are_first_silent_in_the_pane_ending_360_and_alarm_at_420():
    told = Scene().play([*base(), *beats(30, 300)], until=420)
    silent = {second: score for second, score in told.last().items() if score.counts.failures}
    assert sorted(silent) == [360, 390, 420]
    assert [(c.event_id, c.delta, c.offset) for c in silent[360].contributors] == [("", "agent_silent", -1)]
    assert told.said() == [(420, "raised", "Alarm")]
