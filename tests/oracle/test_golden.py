"""The golden values of semantics.md 6 (panes of 30 s from 0), and the check values of section 4."""

from __future__ import annotations

import pytest

from .timelines import (
    RULES,
    Said,
    beats,
    blip,
    established,
    lines,
    said,
    score_at,
    speaker_at,
    told,
)

HEALTHY = [*established(), *beats(30, 900)]
FAILED_AFTER = (1, 2.5, 4.75, 8.125, 13.185, 20.775, 32.165, 49.255, 74.885, 75.885)
HARD_DOWN = [
    *established(),
    *beats(30, 600),
    said(605, "connection_lost"),
    *(said(605 + after, "connection_failed") for after in FAILED_AFTER),
    said(605 + 75.885, "fallback_activated"),
]
CHRONIC_FAILURES = [
    *established(),
    *(
        one
        for start in range(0, 480, 120)
        for one in (
            said(start + 15, "connection_failed"),
            said(start + 45, "message_processed"),
            said(start + 75, "message_processed"),
            said(start + 105, "message_processed"),
        )
    ),
]
MISSED_PONGS = [*established(), *beats(30, 600), *(said(at, "heartbeat_timeout") for at in range(600, 1200, 60))]
GOING_DOWN = [
    *established(),
    *beats(30, 800),
    *(said(at, "heartbeat_timeout") for at in (840, 870, 900)),
    said(910, "connection_lost"),
]

GOLDEN = [
    ("base", established(), 30, 0, 0, 0.592, None),
    ("base and beats", [*established(), *beats(30, 120)], 120, 0, 0, 0.722, None),
    ("healthy, each 30 s", HEALTHY, 900, 0, 0, 0.839, None),
    ("healthy, each 10 s", [*established(), *beats(10, 900, every=10)], 900, 0, 0, 0.845, None),
    ("one blip", [*HEALTHY, *blip(870)], 900, 0.450, 0.254, 0.734, None),
    ("two blips", [*HEALTHY, *blip(800), *blip(870)], 900, 0.698, 0.419, 0.675, None),
    ("three blips", [*HEALTHY, *blip(790), *blip(830), *blip(870)], 900, 0.834, 0.537, 0.619, "Alarm"),
    (
        "three blips far apart",
        [*established(), *beats(30, 1200), *blip(650), *blip(750), *blip(850)],
        900,
        0.450,
        0.537,
        0.659,
        "Curiosity",
    ),
    ("hard down at 630", HARD_DOWN, 630, 0.962, 0.320, 0.600, "Alarm"),
    ("hard down at 690", HARD_DOWN, 690, 1.000, 0.443, 0.385, "Alarm"),
    ("fresh link, one failure", [said(1, "connection_failed")], 30, 0.590, 0.082, 0.357, None),
    ("fresh link, two", [said(1, "connection_failed"), said(2, "connection_failed")], 30, 0.832, 0.125, 0.278, "Alarm"),
    ("chronic failures", CHRONIC_FAILURES, 420, 0.590, 0.150, 0.296, "Concern"),
    ("chronic missed pongs", MISSED_PONGS, 1140, 0.482, 0.167, 0.290, "Concern"),
    ("pongs missed, then lost", GOING_DOWN, 930, 0.795, 0.293, 0.489, "Alarm"),
    ("latency 300", [*established(), *beats(30, 900, latency_ms=300)], 900, 0, 0, 0.757, None),
    ("latency 600", [*established(), *beats(30, 900, latency_ms=600)], 900, 0.329, 0, 0.247, "Concern"),
    ("latency 1000", [*established(), *beats(30, 900, latency_ms=1000)], 900, 0.739, 0, 0.247, "Alarm"),
    ("latency 4000", [*established(), *beats(30, 900, latency_ms=4000)], 900, 0.924, 0, 0.163, "Alarm"),
]


@pytest.mark.parametrize(
    ("name", "story", "at", "pain", "chaos", "trust", "voice"), GOLDEN, ids=[row[0] for row in GOLDEN]
)
def test_a_golden_scenario_gives_its_numbers_and_its_voice(
    name: str, story: list[Said], at: int, pain: float, chaos: float, trust: float, voice: str | None
) -> None:
    result = told(story, until=at)
    score = score_at(result, at)
    assert (score.pain, score.chaos, score.trust) == pytest.approx((pain, chaos, trust), abs=5.01e-4)
    assert speaker_at(result, at) == voice


@pytest.mark.parametrize(
    ("delta", "pain", "voice"),
    [
        ("protocol_violation", 0.749, "Alarm"),
        ("auth_failed", 0.749, "Alarm"),
        ("error_detected", 0.511, None),
        ("fallback_activated", 0.762, "Alarm"),
    ],
)
def test_one_grave_event_on_a_healthy_link(delta: str, pain: float, voice: str | None) -> None:
    result = told(HEALTHY, [said(880, delta)], until=900)
    score = score_at(result, 900)
    assert score.pain == pytest.approx(pain, abs=5.01e-4)
    assert round(score.chaos, 3) <= 0.175
    assert score.trust == pytest.approx(0.73, abs=0.02)
    assert speaker_at(result, 900) == voice


@pytest.mark.parametrize(
    ("dimension", "pain", "voice"), [(1, 0.7, None), (2, 0.719410, "Alarm"), (10, 0.835683, "Alarm")]
)
def test_a_boundary_vector_is_met_to_six_decimals(dimension: int, pain: float, voice: str | None) -> None:
    event = said(1, "connection_failed", voice_pain=0.7, omega=1.0, dimension=dimension)
    result = told([event], until=30)
    assert score_at(result, 30).pain == pain
    assert speaker_at(result, 30) == voice


def test_hard_down_and_recovery_is_alarm_then_clear_after_90_s_then_celebration_after_7_minutes() -> None:
    """Recovery at 720: the last failures (680.885) leave the window of the pane ending 810."""
    result = told(HARD_DOWN, [said(720, "reconnection_success")], beats(750, 1800), until=1800)
    assert lines(result) == [
        (630, "voice_raised", "Alarm"),
        (810, "voice_cleared", "Alarm"),
        (1140, "voice_celebrated", "Celebration"),
    ]
    assert next(voice.reason for voice in result.voices if voice.delta == "voice_cleared") == "recovered"


@pytest.mark.parametrize(("down", "pain"), [(5, 0.53), (10, 0.58), (50, 0.700), (60, 0.715), (100, 0.76), (500, 0.92)])
def test_the_power_mean_of_1000_links_of_which_some_are_down(down: int, pain: float) -> None:
    """A link that is down hurts fully: its pain is 1 to within the severity cap."""
    links = [f"c-{number:04d}" for number in range(1000)]
    story = [one for link in links for one in established(5, link)]
    story += [
        said(10 + copy, "connection_lost", link, voice_pain=1.0, omega=1.0)
        for link in links[:down]
        for copy in range(3)
    ]
    result = told(story, until=30)
    seam = score_at(result, 30, "seam:network_infrastructure")
    assert seam.pain == pytest.approx(pain, abs=5.01e-3 if pain != 0.7 else 5e-4)
    assert (seam.children, seam.children_over) == (1000, (down, 0, 0))


def test_one_violation_on_one_of_10_000_links_is_no_alarm_of_the_seam() -> None:
    """The links that say nothing about the data contract count with pain 0: .749 · (1/10000)^(1/p) = .25."""
    links = [f"c-{number:05d}" for number in range(10_000)]
    story = [one for link in links for one in established(5, link)]
    result = told(story, [said(10, "protocol_violation", links[7])], until=30)
    seam = score_at(result, 30, "seam:data_contract")
    assert (seam.children, seam.worst_child) == (10_000, "connection:c-00007")
    assert seam.pain == pytest.approx(0.7495 * 10_000 ** (-1 / RULES.power), abs=1e-4)
    assert lines(result, "seam:data_contract") == []
