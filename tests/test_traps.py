"""The traps of the original system, one test each (semantics.md 7). None of them may come back."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest

from iskra.settings import load
from schemas.types import VoiceName

from .pipeline.agents.world import World
from .pipeline.scoring.scenes import ALL, Scene, base, beats, fact, interleaved

ROOT = Path(__file__).parent.parent


def test_certainty_is_no_log_level_and_a_healthy_pong_is_no_error(caplog):
    """Trap: Ω used as log level, so that a pong with Ω .95 was logged as ERROR."""
    with caplog.at_level(logging.DEBUG):
        told = Scene().play(
            [*base(), *(fact(second, "heartbeat_success", omega=0.99) for second in range(5, 60, 5))], until=60
        )
    assert caplog.records == []
    assert told.triad(60)[:2] == (0.0, 0.0)


@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_a_good_event_hurts_at_no_certainty(omega):
    """The same trap in the scores: severity never comes from Ω."""
    told = Scene().play([fact(0, "connection_established", omega=omega)], until=30)
    assert told.triad(30)[0] == 0.0


def test_an_alarm_hides_no_concern_for_ever():
    """Trap: a fixed order of voices in which a lasting Alarm kept Concern from ever being heard."""
    failing = [fact(second, "auth_failed") for second in range(10, 300, 20)]
    quiet = [fact(second, "message_processed") for second in range(300, 480, 30)]
    told = Scene().play([*base(), *failing, *quiet, *beats(480, 1_200, every=10)], until=1_200)
    spoken = [voice for _, what, voice in told.said() if what in ("raised", "changed")]
    assert spoken[:2] == ["Alarm", "Concern"]
    assert [what for _, what, _ in told.said()] == ["raised", "changed", "cleared", "celebrated"]


def test_pongs_of_healthy_links_are_celebrated_by_nobody():
    """Trap: a Celebration for every pong; 10,000 links made 20,000 a minute."""
    links = [(f"c-{n}", [*base(), *beats(1 + n / 100, 600)]) for n in range(100)]
    scene = Scene()
    scene.feed(list(interleaved(*links)))
    scene.close(600)
    assert scene.told.voices == []
    assert scene.told.triad(600)[2] > 0.7


def test_background_pain_adds_up_to_no_alarm():
    """Trap: routine events with a pain of .2 each, summed over the window, were a permanent Alarm."""
    routine = [
        fact(second, "message_processed", fractal_metadata={"voice_pain": 0.2, "voice_chaos": 0.1, "voice_trust": 0.9})
        for second in range(300)
    ]
    told = Scene().play(routine, until=300)
    assert told.voices == []
    assert {score.pain for score in told.last().values()} == {0.0}


def test_pain_of_exactly_seven_tenths_is_no_alarm():
    """Trap: pain .7 read as > .7."""
    given = {"dimension": 1, "omega": 1.0, "lambda": "look_here", "fractal_metadata": {"voice_pain": 0.7}}
    told = Scene().play([fact(5, "something_odd", **given)], until=30)
    assert told.triad(30)[0] == 0.7
    assert told.speaker(30) is None


def test_an_idle_healthy_link_is_reported_as_such():
    """Trap: a link without application traffic was reported as heartbeat_timeout."""
    world = World().want().run(600)
    deltas = set(world.seat.deltas)
    assert "connection_established" in deltas
    assert not deltas & {"heartbeat_timeout", "heartbeat_missed", "zombie_detected", "connection_lost"}


def test_an_idle_link_that_only_beats_has_no_voice():
    """The same trap in the scores."""
    told = Scene().play([*base(), *beats(30, 3_600)], until=3_600)
    assert told.voices == []
    assert told.speaker(3_600) is None


def test_a_configuration_file_is_applied_down_to_what_is_heard(tmp_path):
    """Trap: a configuration file that was read and never applied."""
    (tmp_path / "iskra.toml").write_text(
        '[scoring]\nemit = "all"\n[scoring.voices]\nalarm_pain_above = 0.4\nalarm_clear_pain = 0.2\nlevel_alarm_clear_pain = 0.3\n'
    )
    rules = load(environ={}, directory=tmp_path).settings.scoring.rules()
    assert (rules.emit, rules.voices.alarm_pain_above) == ("all", 0.4)
    story = [*base(), fact(5, "connection_lost")]
    assert Scene(rules).play(story, until=30).speaker(30) is VoiceName.ALARM
    assert Scene(ALL).play(story, until=30).speaker(30) is None


DICE = {
    "pipeline/agents/driver.py": "jitter of reconnects",
    "pipeline/agents/agent.py": "jitter of reconnects",
    "iskra/chaos/generator.py": "what is sent in a proof run, seeded",
    "iskra/chaos/schedule.py": "which fault bites when, seeded",
    "iskra/chaos/proxy.py": "how late a delayed byte comes",
    "iskra/demo/weather.py": "which links of the demo are cut, seeded",
    "iskra/demo/links.py": "jitter of the demo's links, seeded",
}
"""Everybody who may roll dice, and for what."""


def test_no_figure_comes_from_a_random_number():
    """Trap: SLO figures from random numbers. Whoever imports dice is known here by name and purpose."""
    rolling = {
        str(file.relative_to(ROOT))
        for package in ("schemas", "pipeline", "alerts", "iskra")
        for file in sorted((ROOT / package).rglob("*.py"))
        if _imports_random(file)
    }
    assert rolling <= DICE.keys()


def _imports_random(file: Path) -> bool:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            return True
    return False
