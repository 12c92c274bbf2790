"""Whole messages, as people get them. After a wanted change: ``pytest --update-golden`` rewrites the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alerts.rendering.lines import line_of
from alerts.rendering.pagerduty import change_event, pagerduty_event
from alerts.rendering.sandbox import Unrenderable
from alerts.rendering.slack import metadata_of, reply_message, root_message
from tests.alerts.saying import intent

GOLDEN = Path(__file__).parent / "golden"
CONCERN = {"voice": "Concern", "lambda_": "watch_and_plan", "trust": 0.22, "threshold": 0.3, "pain": 0.2}
CURIOSITY = {"voice": "Curiosity", "lambda_": "investigate_anomaly", "chaos": 0.61, "threshold": 0.5, "pain": 0.2}
CELEBRATION = {"voice": "Celebration", "lambda_": "resolve_incident", "trust": 0.74, "pain": 0.1}
ECOSYSTEM = {"subject": "ecosystem:iskra", "level": "ecosystem", "children": 4, "children_over": {"pain": 2, "chaos": 0, "distrust": 0}, "worst_child": "seam:network_infrastructure"}  # fmt: skip
ENDED = {"action": "resolve", "why": "all_resolved", "duration": 36_000, "firing": 0, "subjects": []}

MESSAGES: dict[str, dict[str, Any]] = {
    "open_alarm": {},
    "open_concern": {"voice": CONCERN, "severity": "warning"},
    "open_curiosity": {"voice": CURIOSITY, "severity": "info"},
    "open_ecosystem": {"voice": ECOSYSTEM},
    "open_several": {"firing": 3, "muted": 2, "subjects": ["seam:a", "seam:b", "seam:network_infrastructure"]},
    "open_first_pane": {"voice": {"recent": [], "children": None, "children_over": None, "worst_child": None}},
    "update_between_levels": {"action": "update", "why": "changed", "voice": {"pain": 0.65, "delta": "voice_held"}},
    "update_just_above": {"action": "update", "why": "changed", "voice": {"pain": 0.70004}},
    "note_escalated": {"action": "note", "why": "escalated", "told_voice": "Concern"},
    "note_repeat": {"action": "note", "why": "repeat", "created": 14_490_000},
    "note_flapping": {"action": "note", "why": "flapping", "flapping": True},
    "note_flap_ended": {"action": "note", "why": "flap_ended"},
    "note_stale": {"action": "note", "why": "stale", "stale": True},
    "note_forgotten": {"action": "note", "why": "stale", "stale": True, "voice": {"reason": "forgotten"}},
    "note_stale_ended": {"action": "note", "why": "stale_ended"},
    "resolve_recovered": {**ENDED, "voice": {"reason": "recovered", "pain": 0.3}},
    "resolve_faded": {**ENDED, "voice": {"reason": "faded", "pain": 0.3}},
    "resolve_revised": {**ENDED, "voice": {"reason": "revised", "pain": 0.6}},
    "resolve_changed": {**ENDED, "voice": {"reason": "changed", "pain": 0.6}},
    "resolve_flap_ended": {
        **ENDED,
        "why": "flap_ended",
        "duration": 4_200_000,
        "voice": {"reason": "recovered", "pain": 0.1},
    },
    "good": {**ENDED, "action": "good", "why": "celebrated", "severity": "info", "voice": CELEBRATION},
    "hostile": {
        "voice": {
            "subject": "seam:<!channel> *b* `c` \u202eevil",
            "worst_child": "{{ 7 * 7 }} <http://e|x> `",
            "lambda_": "<@U1>",
        }
    },
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_is_the_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    one = intent(**MESSAGES[name])
    rich, text, reply = root_message(one, chart=True), root_message(one, chart=False), reply_message(one)
    actual = {
        "line": line_of(one),
        "slack": {"text": rich.text, "blocks": rich.blocks, "attachments": rich.attachments},
        "slack_without_chart": text.blocks[2] if len(text.blocks) > 3 else None,
        "slack_reply": {"text": reply.text, "blocks": reply.blocks} if one.action in {"note", "good"} else None,
        "pagerduty": change_event(one) if one.action == "good" else pagerduty_event(one),
    }
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden", default=False):
        path.write_text(json.dumps(actual, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    assert actual == json.loads(path.read_text(encoding="utf-8"))


def test_metadata_finds_a_message_again() -> None:
    assert metadata_of(intent()) == {
        "event_type": "iskra_notification",
        "event_payload": {"notification_id": "n-1", "group_episode": "g-1", "sequence": 1},
    }


def test_everything_fits_however_long_the_names_are() -> None:
    long = intent(
        voice={"subject": "seam:" + "n" * 5_000, "worst_child": "w" * 5_000, "lambda_": "l" * 5_000},
        subjects=["s" * 5_000] * 10,
    )
    message = root_message(long, chart=True)
    header, section, _, context = message.blocks
    assert (len(header["text"]["text"]), len(section["text"]["text"])) == (150, 2_900)
    assert len(context["elements"][0]["text"]) <= 1_900
    assert len(message.text) <= 3_000
    assert len(json.dumps(message.blocks)) < 12_000
    event = pagerduty_event(long)
    assert len(event["payload"]["summary"]) == 1_024
    assert len(json.dumps(event)) < 500_000


def test_severity_never_comes_from_omega() -> None:
    sure, unsure = (pagerduty_event(intent(voice={"omega": omega})) for omega in (1.0, 0.0))
    assert sure["payload"]["severity"] == unsure["payload"]["severity"] == "critical"


def test_a_template_that_fails_becomes_plain_text_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_name: str, _context: object, _escape: object) -> str:
        message = "made to fail"
        raise Unrenderable(message)

    monkeypatch.setattr("alerts.rendering.wordings.fragment", broken)
    message = root_message(intent(voice={"subject": "seam:<b>"}), chart=True)
    assert message.text == " ".join(["Alarm open seam &lt;b&gt; pain .81 (template failed)"] * 2).replace(") A", "): A")
