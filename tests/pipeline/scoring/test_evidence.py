"""What one event is evidence of: claims, noise floor, latency, unknown deltas."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pipeline.scoring.evidence import PICO, UNKNOWN, Link, Weight, harm_of, latency_outcome, latency_severity, weigh
from pipeline.scoring.rules import LatencyRules, ScoreRules
from schemas.hot import HotEvent
from schemas.registry import Outcome, builtin_registry

RULES = ScoreRules()
LATENCY = LatencyRules()
ROWS = builtin_registry().rows


def event(delta: str, **fields: Any) -> HotEvent:
    row = ROWS.get(delta)
    return HotEvent(
        connection_id="c-1",
        delta=delta,
        known=row is not None,
        dimension=fields.pop("dimension", row.dimension if row else 1),
        omega=fields.pop("omega", row.omega if row else 1.0),
        lambda_="continue_monitoring",
        seam_id="network_infrastructure",
        event_id="e-1",
        explicit_id=True,
        ts=0,
        time=0,
        partition=0,
        offset=0,
        **fields,
    )


def weighed(delta: str, rules: ScoreRules = RULES, **fields: Any) -> Weight:
    return weigh(event(delta, **fields), ROWS.get(delta), rules)


@pytest.mark.parametrize(
    ("severity", "omega", "dimension", "harm"),
    [
        (0.7, 1.0, 1, 0.7),
        (0.7, 1.0, 2, 0.719410),
        (0.7, 1.0, 10, 0.835683),
        (0.7, 0.5, 1, 0.35),
        (0.0, 1.0, 10, 0.0),
        (1.0, 1.0, 1, 0.999),
    ],
)
def test_harm_grows_with_severity_certainty_and_depth_and_depth_alone_makes_none(severity, omega, dimension, harm):
    assert harm_of(severity, omega, dimension, RULES) == pytest.approx(harm, abs=5e-7)


@pytest.mark.parametrize(
    ("claimed", "hurts"), [(0.35, True), (math.nextafter(0.35, 0), False), (0.2, False), (0.0, False)]
)
def test_a_claim_below_the_noise_floor_is_nothing(claimed, hurts):
    assert (weighed("message_processed", voice_pain=claimed).harm > 0) is hurts


def test_a_claim_wins_over_the_registry_unless_claims_are_ignored():
    assert weighed("connection_failed", voice_pain=0.0).harm == 0.0
    ignoring = ScoreRules(claims="ignore")
    assert weighed("connection_failed", ignoring, voice_pain=0.0, voice_trust=1.0, voice_chaos=1.0) == weighed(
        "connection_failed"
    )
    assert weighed("message_processed", ignoring, voice_chaos=1.0).anomaly is False


@pytest.mark.parametrize(
    ("claimed", "succeeded", "failed", "anomaly"),
    [
        (0.7, True, False, False),
        (math.nextafter(0.7, 0), False, False, False),
        (math.nextafter(0.3, 1), False, False, False),
        (0.3, False, True, True),
    ],
)
def test_a_claimed_trust_is_success_failure_or_neither(claimed, succeeded, failed, anomaly):
    weight = weighed("heartbeat_success", voice_trust=claimed, latency_ms=2_000)
    assert (weight.succeeded, weight.failed, weight.anomaly) == (succeeded, failed, anomaly)


@pytest.mark.parametrize(("claimed", "anomaly"), [(0.5, False), (math.nextafter(0.5, 1), True)])
def test_a_chaos_claim_adds_an_anomaly(claimed, anomaly):
    assert weighed("heartbeat_success", voice_chaos=claimed).anomaly is anomaly


def test_a_chaos_claim_removes_no_anomaly():
    assert weighed("connection_failed", voice_chaos=0.0).anomaly is True


@pytest.mark.parametrize(
    ("latency", "severity"),
    [
        (0, 0),
        (500, 0),
        (math.nextafter(500, 501), 0.05),
        (750, 0.175),
        (1_000, 0.3),
        (2_500, 0.4),
        (4_000, 0.5),
        (1e9, 0.5),
    ],
)
def test_the_severity_of_a_latency(latency, severity):
    assert latency_severity(latency, LATENCY) == pytest.approx(severity)


@pytest.mark.parametrize(
    ("latency", "outcome", "share"),
    [
        (185, Outcome.SUCCESS, 1.0),
        (186, Outcome.SUCCESS, 0.5),
        (500, Outcome.SUCCESS, 0.5),
        (501, Outcome.FAILURE, 0.25),
        (1_000, Outcome.FAILURE, 0.25),
        (1_001, Outcome.FAILURE, 0.5),
    ],
)
def test_the_outcome_of_a_latency(latency, outcome, share):
    assert latency_outcome(latency, LATENCY) == (outcome, share)


def test_a_slow_heartbeat_is_a_failure_with_harm_below_the_noise_floor_and_no_anomaly():
    weight = weighed("heartbeat_success", latency_ms=600)
    assert (weight.failed, weight.anomaly, weight.failure) == (True, False, round(0.95 * 0.25 * PICO))
    assert weight.harm == pytest.approx(0.95 * 0.1)


def test_a_heartbeat_without_latency_is_a_success_without_harm():
    weight = weighed("heartbeat_summary")
    assert (weight.succeeded, weight.success, weight.harm, weight.beat) == (True, round(0.95 * PICO), 0.0, True)


def test_the_latency_of_anything_but_a_heartbeat_says_nothing():
    assert weighed("message_processed", latency_ms=9_000) == weighed("message_processed")


def test_all_unknown_deltas_are_one_kind_and_weigh_nothing_by_themselves():
    weight = weighed("who_knows_what")
    assert (weight.kind, weight.harm, weight.neutral, weight.link) == (UNKNOWN, 0.0, True, None)


def test_an_unknown_delta_weighs_what_it_claims():
    weight = weighed("who_knows_what", voice_pain=0.8, voice_trust=0.1)
    assert weight.harm == pytest.approx(0.8)
    assert (weight.failed, weight.anomaly, weight.neutral) == (True, True, False)


def test_certainty_is_never_severity():
    assert [weighed("heartbeat_success", omega=omega).harm for omega in (0.0, 0.5, 1.0)] == [0.0, 0.0, 0.0]


def test_what_a_delta_proves_of_its_link():
    links = {delta: weighed(delta).link for delta in ("connection_established", "connection_lost", "rate_limited")}
    assert links == {
        "connection_established": Link.UP,
        "connection_lost": Link.DOWN,
        "rate_limited": Link.DEGRADED,
    }
    assert weighed("connection_closed").link is Link.CLOSED
    assert weighed("heartbeat_success").link is None
