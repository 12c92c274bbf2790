"""The rules on another clock, and what follows from them."""

from __future__ import annotations

from pipeline.scoring.rules import ScoreRules
from schemas.types import Level


def test_the_demos_clock_divides_durations_of_meaning_and_keeps_what_is_the_networks():
    rules = ScoreRules().scaled(15)
    assert (rules.pane, rules.silence_after, rules.forget_after, rules.forget_closed_after) == (
        2_000,
        6_000,
        240_000,
        20_000,
    )
    assert (rules.hole, rules.hold, rules.touch, rules.late_horizon) == (6_000, 6_000, 60_000, 20_000)
    assert (rules.out_of_orderness, rules.grace) == (500, 3_000)
    voices = rules.voices
    assert (voices.alarm_wait, voices.concern_wait, voices.curiosity_wait, voices.celebration_wait) == (
        4_000,
        16_000,
        12_000,
        20_000,
    )
    assert (rules.latency, rules.dedup_horizon, rules.power) == (
        ScoreRules().latency,
        ScoreRules().dedup_horizon,
        ScoreRules().power,
    )


def test_half_of_trust_is_forgotten_in_180_s():
    rules = ScoreRules()
    assert round(rules.decay ** (180_000 / rules.pane), 12) == 0.5


def test_levels_clear_their_alarm_earlier():
    voices = ScoreRules().voices
    assert [voices.clear_pain(level) for level in (Level.CONNECTION, Level.SEAM, Level.ECOSYSTEM)] == [0.5, 0.6, 0.6]
