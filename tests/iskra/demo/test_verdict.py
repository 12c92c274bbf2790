"""The demo's verdict can fail: one changed fact turns exactly the rows red that speak of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iskra.demo.verdict import Facts, Heard, Incident, Message, judge
from schemas.types import Level, VoiceName

SEAM = "seam:network_infrastructure"


def _heard(at_s: float, subject: str, voice: VoiceName, delta: str) -> Heard:
    return Heard(at_s, subject, Level(subject.split(":", maxsplit=1)[0]), voice, delta)


GOOD = Facts(
    voices=(
        *(_heard(16.0, f"connection:demo/link-{n:02d}", VoiceName.ALARM, "voice_raised") for n in range(36)),
        _heard(17.0, SEAM, VoiceName.ALARM, "voice_raised"),
        _heard(30.0, SEAM, VoiceName.ALARM, "voice_cleared"),
        _heard(54.0, SEAM, VoiceName.CELEBRATION, "voice_celebrated"),
        *(_heard(66.0, f"connection:demo/link-{n}", VoiceName.CURIOSITY, "voice_raised") for n in (40, 41, 42)),
        _heard(108.0, SEAM, VoiceName.CONCERN, "voice_raised"),
    ),
    calm_trust=0.78,
    messages=(
        Message(17.2, "Alarm", green_at_s=30.4, resolved_text="resolved", replies=((54.2, "★ Verified"),)),
        Message(110.0, "Concern"),
    ),
    incidents=(Incident(17.3, "iskra:1", "Alarm", resolved_at_s=30.5),),
    blip_links=("demo/link-40", "demo/link-41", "demo/link-42"),
    unaccounted=0.0,
)


def _red(facts: Facts) -> list[str]:
    return [row.expected for row in judge(facts) if not row.ok]


def test_a_run_in_which_everything_was_seen_is_green() -> None:
    assert _red(GOOD) == []


ALARM = GOOD.messages[0]


@pytest.mark.parametrize(
    ("facts", "red"),
    [
        (
            replace(GOOD, voices=(_heard(3.0, SEAM, VoiceName.CURIOSITY, "voice_raised"), *GOOD.voices)),
            ["calm: no voice"],
        ),
        (replace(GOOD, calm_trust=0.7), ["calm: trust of the seam over .7"]),
        (replace(GOOD, calm_trust=None), ["calm: trust of the seam over .7"]),
        (replace(GOOD, voices=GOOD.voices[36:]), ["cut: link Alarms"]),
        (
            replace(
                GOOD,
                voices=tuple(replace(h, at_s=25.1) if h.subject == SEAM and h.at_s == 17.0 else h for h in GOOD.voices),
            ),
            ["cut: seam Alarm within 10 s"],
        ),
        (replace(GOOD, messages=(*GOOD.messages, Message(18.0, "again"))), ["cut: 1 Slack message"]),
        (
            replace(GOOD, incidents=(*GOOD.incidents, Incident(70.0, "iskra:2", "again"))),
            ["cut: 1 PagerDuty incident in the whole run"],
        ),
        (
            replace(GOOD, messages=(replace(ALARM, green_at_s=54.0), GOOD.messages[1])),
            ["back: the message turns green, duration ≤ 36 s"],
        ),
        (replace(GOOD, incidents=(Incident(17.3, "iskra:1", "Alarm"),)), ["back: PagerDuty resolved by the same key"]),
        (
            replace(
                GOOD,
                voices=tuple(replace(h, at_s=59.1) if h.voice == VoiceName.CELEBRATION else h for h in GOOD.voices),
            ),
            ["back: Celebration 35 ± 5 s after the cut ended"],
        ),
        (replace(GOOD, messages=(replace(ALARM, replies=()), GOOD.messages[1])), ["back: Celebration in the thread"]),
        (
            replace(GOOD, blip_links=("demo/link-40", "demo/link-41", "demo/link-43")),
            ["blips: Curiosity of these 3 links"],
        ),
        (replace(GOOD, voices=GOOD.voices[:-1]), ["slow: Concern of the seam"]),
        (replace(GOOD, messages=GOOD.messages[:1]), ["slow: told once in Slack"]),
        (replace(GOOD, unaccounted=1.0), ["events unaccounted for: 0"]),
        (replace(GOOD, unaccounted=None), ["events unaccounted for: 0"]),
        (replace(GOOD, left_running=("scorer-1",)), ["no process left"]),
    ],
)
def test_one_changed_fact_turns_the_rows_red_that_speak_of_it(facts: Facts, red: list[str]) -> None:
    assert _red(facts) == red
