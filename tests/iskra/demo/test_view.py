"""The living picture shows what was reduced into it."""

from __future__ import annotations

from rich.console import Console

from iskra.demo.verdict import Heard, Incident, Message
from iskra.demo.view import View, draw, heard, scored, sparkline
from schemas.types import Level, VoiceName

SEAM = "seam:network_infrastructure"


def test_a_sparkline_runs_from_the_lowest_to_the_highest_bar() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"


def test_a_raise_speaks_a_hold_says_nothing_new_and_a_clear_ends_it() -> None:
    raised = Heard(1.0, SEAM, Level.SEAM, VoiceName.ALARM, "voice_raised")
    held = Heard(3.0, SEAM, Level.SEAM, VoiceName.ALARM, "voice_held")
    cleared = Heard(5.0, SEAM, Level.SEAM, VoiceName.ALARM, "voice_cleared")
    speaking = heard(heard(View(), raised), held)
    assert (speaking.speaking, speaking.feed) == ({SEAM: VoiceName.ALARM}, (raised,))
    quiet = heard(speaking, cleared)
    assert (quiet.speaking, quiet.feed) == ({}, (raised, cleared))


def test_the_screen_names_links_scores_voices_the_message_and_the_incident() -> None:
    view = heard(
        scored(View(at_s=17.5, spell="cut", connected=(True, False)), SEAM, 0.81, 0.1, 0.6),
        Heard(17.0, SEAM, Level.SEAM, VoiceName.ALARM, "voice_raised"),
    )
    view = View(
        view.at_s,
        view.spell,
        view.connected,
        view.scores,
        view.feed,
        view.speaking,
        messages=(
            Message(17.2, "36 of 60 hurt", green_at_s=30.0, resolved_text="over", replies=((54.0, "verified"),)),
        ),
        incidents=(Incident(17.3, "iskra:1", "Alarm of the seam", resolved_at_s=30.0),),
    )
    console = Console(width=160, height=48)
    with console.capture() as capture:
        console.print(draw(view))
    screen = capture.get()
    for words in ("1 of 2 connected", SEAM, "0.81", "▲ Alarm", "over", "verified", "resolved at 30.0 s", "17.5 s"):
        assert words in screen
