"""What an agent says in known weather, scored by the real scorer: the golden numbers of semantics.md 6."""

from __future__ import annotations

from pipeline.agents.core.evidence import Evidence, Source
from pipeline.agents.core.facts import Stamp, describe
from pipeline.agents.core.signals import Lost, OpenFailed
from pipeline.runtime.contract import LogRecord
from schemas.codec import encode_event
from schemas.topics import EVENTS
from schemas.types import VoiceName
from tests.pipeline.scoring.scenes import START, Scene, Told

from .world import Peer, Seat, World

LINK = "test/a"


class Gone(Peer):
    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        world.later(1, seat, OpenFailed(attempt, Evidence(Source.SYSTEM, reason="ECONNREFUSED")))


def scored(world: World, until: float) -> Told:
    """The link's words as bytes through a scorer, its panes closed up to a second."""
    scene = Scene()
    records = [
        LogRecord(
            EVENTS, 0, seq, START + at, LINK.encode(), encode_event(describe(fact, START + at, Stamp("t.0", seq)))
        )
        for seq, (at, fact) in enumerate(world.seat.facts)
        if at < until * 1_000
    ]
    scene.feed(records)
    scene.close(until)
    assert scene.told.counts["scored"] == sum(scene.told.counts.values())
    return scene.told


def lose(world: World) -> None:
    world.come(world.seat, Lost(world.seat.state.attempt, Evidence(Source.SYSTEM, code=1006)))


def test_a_healthy_link_is_trusted_as_the_golden_one():
    told = scored(World().want().run(900), 900)
    pain, chaos, trust = told.triad(900, LINK)
    assert (pain, chaos) == (0, 0)
    assert 0.83 < trust < 0.85  # golden .839 with beats on the pane's edge; here they fall into its middle


def test_a_blip_hurts_and_unsettles_as_the_golden_one():
    world = World().want().run(870)
    lose(world)
    told = scored(world.run(900), 900)
    pain, chaos, _ = told.triad(900, LINK)
    assert (round(pain, 3), round(chaos, 3)) == (0.450, 0.254)
    assert told.said(LINK) == []


def test_three_blips_are_an_alarm_as_in_the_golden_row():
    world = World().want()
    for second in (790, 830, 870):
        world.run(second)
        lose(world)
    told = scored(world.run(900), 900)
    pain, chaos, _ = told.triad(900, LINK)
    assert (round(pain, 3), round(chaos, 3)) == (0.834, 0.537)
    assert told.speaker(900, LINK) is VoiceName.ALARM


def test_a_server_that_stays_away_is_an_alarm_within_the_minute_and_clears_after_its_return():
    world = World().want().run(600)
    world.peer = Gone()
    lose(world)
    world.run(690)
    world.peer = Peer()
    told = scored(world.run(1_500), 1_500)
    alarms = [(second, what) for second, what, voice in told.said(LINK) if voice == "Alarm"]
    assert [what for _, what in alarms] == ["raised", "cleared"]
    assert alarms[0][0] == 630
    assert 780 <= alarms[1][0] <= 870
    assert [what for _, what, voice in told.said(LINK) if voice == "Celebration"] == ["celebrated"]
