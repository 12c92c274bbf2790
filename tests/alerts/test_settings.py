from __future__ import annotations

import pytest
from pydantic import ValidationError

from alerts.policy.model import AlertRules, Timing
from alerts.sender import ConsoleReceiver, PagerDutyReceiver, Sender, SlackReceiver, policy_receivers
from alerts.settings import AlertsSettings
from schemas.types import Level

TOKEN, KEY = "xoxb-canary", "canary-key"
FULL = {"slack": {"token": TOKEN, "channel": "C1"}, "pagerduty": {"routing_key": KEY}}


def test_settings_become_receivers() -> None:
    assert AlertsSettings.model_validate(FULL).receivers() == (PagerDutyReceiver(KEY), SlackReceiver(TOKEN, "C1"))
    assert AlertsSettings().receivers() == ()


def test_without_receivers_it_is_the_console() -> None:
    [receiver] = policy_receivers(())
    assert (receiver.name, receiver.kind, receiver.destination) == ("console", "console", "console:console")


def test_destinations_hold_no_secret_and_nothing_shows_one() -> None:
    settings = AlertsSettings.model_validate(FULL)
    shown = (
        repr(settings)
        + repr(settings.receivers())
        + str(policy_receivers(settings.receivers()))
        + settings.model_dump_json()
    )
    assert TOKEN not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    "plain",
    [
        {"slack": {"token": TOKEN}},
        {"slack": {"channel": "C1"}},
        {"slack": {"token": TOKEN, "channel": "C1", "colour": "red"}},
        {"levels": ["galaxy"]},
        {"unknown": 1},
    ],
)
def test_what_is_half_or_unknown_is_refused_without_showing_the_secret(plain: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        AlertsSettings.model_validate(plain)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://slack.com/api/", "ftp://x", "https://user:pw@slack.com/", "https://", "http://127.0.0.1:1/"]
)
def test_a_receiver_needs_https(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Sender([SlackReceiver(TOKEN, "C1", url)], allow_insecure_receivers=("127.0.0.1:2",))


def test_the_demo_clock_divides_what_has_meaning_and_nothing_else() -> None:
    rules = AlertsSettings.model_validate({"levels": ["seam"]}).rules(15)
    assert rules.levels == (Level.SEAM,)
    assert rules.alarm == Timing(0, 4_000, 960_000)
    assert rules.concern == Timing(2_000, 20_000, 2_880_000)
    assert rules.curiosity == Timing(60_000, 60_000, None)
    assert (rules.join_window_ms, rules.flap_window_ms, rules.connection_wait_ms) == (4_000, 120_000, 666)
    assert (rules.stale_after_ticks, rules.keep_resolved_ms, rules.ecosystem_wait_ms) == (10, 240_000, 3_000)
    assert AlertsSettings().rules() == AlertRules()


def test_receivers_of_the_console_can_be_named() -> None:
    assert ConsoleReceiver("desk").destination == "console:desk"


def test_a_base_url_of_loopback_was_set_on_purpose() -> None:
    plain = {**FULL, "allow_insecure_receivers": ["10.0.0.1:80"]}
    plain["slack"] = {**FULL["slack"], "base_url": "http://127.0.0.1:81/api/"}
    assert AlertsSettings.model_validate(plain).allowed() == ("10.0.0.1:80", "127.0.0.1:81")
    assert AlertsSettings.model_validate(FULL).allowed() == ()
