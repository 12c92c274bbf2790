"""The hysteresis of semantics.md 5 by the oracle: raise, clear, waits, changes of speaker, Celebration."""

from __future__ import annotations

import pytest

from .timelines import LINK, Said, beats, blip, established, lines, said, speaker_at, told, voices_of


def quiet(begin: int, end: int) -> list[Said]:
    """Neutral words that keep a link from being silent and say nothing about it."""
    return [said(at, "message_processed") for at in range(begin, end, 30)]


def hurt(at: float, pain: float, copies: int = 1, trust: float | None = 0.5) -> list[Said]:
    """Harm of exactly this size (Ω 1, D 1), an anomaly only if trust is claimed low."""
    return [
        said(at, "message_processed", voice_pain=pain, voice_trust=trust, omega=1.0, dimension=1) for _ in range(copies)
    ]


def failing(at: float, omega: float = 1.0) -> list[Said]:
    """Pure distrust: a failure without harm."""
    return [said(at, "message_processed", voice_pain=0.0, voice_trust=0.0, omega=omega, dimension=1) for _ in range(2)]


def anomalous(at: float, omega: float = 1.0) -> list[Said]:
    """Pure chaos of .509: five kinds of anomaly at Ω 1 that neither hurt nor fail."""
    kinds = ("message_processed", "connection_attempt_started", "reconnect_scheduled", "batch_sent", "session_resumed")
    return [
        said(at, kind, voice_pain=0.0, voice_trust=0.5, voice_chaos=0.9, omega=omega, dimension=1)
        for kind in kinds
        for _ in range(3)
    ]


def test_pain_of_exactly_7_raises_nothing_and_a_millionth_more_does() -> None:
    assert lines(told(hurt(10, 0.7), until=30)) == []
    assert lines(told(hurt(10, 0.700001), until=30)) == [(30, "voice_raised", "Alarm")]


def test_an_alarm_clears_at_pain_5_and_not_above() -> None:
    """Pain .8 in the pane ending 30 leaves the window of the pane ending 150; from 120 on a second harm stands alone."""
    at_half = told(quiet(0, 300), hurt(10, 0.8), hurt(100, 0.5), until=300)
    above = told(quiet(0, 300), hurt(10, 0.8), hurt(100, 0.500001), until=300)
    assert lines(at_half) == [(30, "voice_raised", "Alarm"), (150, "voice_cleared", "Alarm")]
    assert lines(above) == [(30, "voice_raised", "Alarm"), (240, "voice_cleared", "Alarm")]


def test_time_alone_ends_a_voice_as_faded_and_a_success_as_recovered() -> None:
    faded = told(quiet(0, 300), hurt(10, 0.8), until=300)
    recovered = told(quiet(0, 300), hurt(10, 0.8), beats(60, 61), until=300)
    assert [voice.reason for voice in faded.voices if voice.subject == f"connection:{LINK}"] == [None, "faded"]
    assert [voice.reason for voice in recovered.voices if voice.subject == f"connection:{LINK}"] == [None, "recovered"]


@pytest.mark.parametrize(("again", "raised"), [(160, [210]), (190, [210]), (220, [240])])
def test_an_alarm_waits_60_s_before_it_holds_again(again: float, raised: list[float]) -> None:
    """Cleared at 150: not before 210, however early the pain is back."""
    result = told(quiet(0, 420), hurt(10, 0.8), hurt(again, 0.8), until=330)
    assert [at for at, what, who in lines(result) if what == "voice_raised"] == [30, *raised]


def test_concern_needs_two_panes_and_clears_at_45() -> None:
    """Three panes of f = 4: trust 2/(4 + f) is .25 at 30, .17 at 60; f = 10.74 at 90 has faded to .42 at 930."""
    result = told(quiet(0, 1200), *(failing(at) for at in range(10, 100, 30)), until=1200)
    assert lines(result) == [(60, "voice_raised", "Concern"), (930, "voice_cleared", "Concern")]


def test_curiosity_needs_two_panes_and_with_little_certainty_three() -> None:
    sure = told(quiet(0, 240), anomalous(10), until=150)
    doubted = told(
        quiet(0, 240), anomalous(10, omega=0.49), anomalous(11, omega=0.49), anomalous(12, omega=0.49), until=150
    )
    assert lines(sure) == [(60, "voice_raised", "Curiosity")]
    assert lines(doubted) == [(90, "voice_raised", "Curiosity")]


def test_a_louder_voice_takes_over_and_the_quieter_one_that_still_holds_speaks_on_at_once() -> None:
    """Curiosity from 60 (chaos until 310); Alarm in the pane ending 90, cleared at 210: one change each way."""
    result = told(quiet(0, 420), anomalous(10), hurt(70, 0.8), until=420)
    assert lines(result) == [
        (60, "voice_raised", "Curiosity"),
        (90, "voice_changed", "Alarm"),
        (210, "voice_changed", "Curiosity"),
        (330, "voice_cleared", "Curiosity"),
    ]
    changes = [(v.previous, v.also_held) for v in voices_of(result, f"connection:{LINK}") if v.delta == "voice_changed"]
    assert changes == [("Curiosity", ("Curiosity",)), ("Alarm", ())]


def test_a_voice_that_never_spoke_takes_over_only_while_its_raise_condition_is_true() -> None:
    """Concern begins to hold under an Alarm; when the Alarm clears (360), trust is .31: nobody speaks."""
    harm = [one for at in (10, 100, 190, 220) for one in hurt(at, 0.9)]
    hidden = told(quiet(0, 600), harm, failing(12), failing(40), until=600)
    assert [line for line in lines(hidden) if line[2] == "Alarm"] == [
        (30, "voice_raised", "Alarm"),
        (360, "voice_cleared", "Alarm"),
    ]
    assert [voice.also_held for voice in voices_of(hidden, f"connection:{LINK}")] == [(), ("Concern",)]
    assert [line for line in lines(hidden) if line[2] == "Concern"] == []


def test_the_wait_is_waived_while_a_quieter_voice_speaks() -> None:
    """Alarm gives way to Curiosity at 150 and may return at 180 at once, for it is a change, not a new page."""
    result = told(quiet(0, 420), anomalous(10), hurt(10, 0.8), hurt(160, 0.8), until=240)
    assert lines(result) == [
        (30, "voice_raised", "Alarm"),
        (150, "voice_changed", "Curiosity"),
        (180, "voice_changed", "Alarm"),
    ]


def test_a_celebration_needs_trust_calm_for_300_s_and_two_panes() -> None:
    result = told(established(), beats(30, 900), blip(600), blip(625), blip(650), until=1500)
    told_on = told(established(), beats(30, 1800), blip(600), blip(625), blip(650), until=1800)
    cleared = [at for at, what, _ in lines(told_on) if what == "voice_cleared"]
    celebrated = [at for at, what, _ in lines(told_on) if what == "voice_celebrated"]
    last_grief = max(v.window_end / 1000 for v in voices_of(told_on, f"connection:{LINK}") if v.previous == "Alarm")
    assert (last_grief <= cleared[-1], celebrated) == (True, [max(last_grief + 330, cleared[-1] + 30)])
    assert [line for line in lines(result) if line[1] == "voice_celebrated"] == []  # beats end at 900: trust decays


def test_no_celebration_for_health_a_first_connect_or_after_curiosity_alone() -> None:
    healthy = told(established(), beats(30, 3600), until=3600)
    curious = told(established(), beats(30, 3600), blip(650), blip(750), blip(850), until=3600)
    assert lines(healthy) == []
    assert {who for _, _, who in lines(curious)} == {"Curiosity"}


@pytest.mark.parametrize("every", [20, 50, 100])
def test_a_flapping_link_has_one_steady_voice(every: int) -> None:
    result = told(established(), beats(30, 3600), *(blip(at) for at in range(600, 3600, every)), until=3600)
    spoken = lines(result)
    steady = {speaker_at(result, at) for at in range(1200, 3600, 30)}
    assert len(steady) == 1
    assert steady != {None}
    assert [line for line in spoken if line[0] > 1200] == []


def test_a_violation_each_200_s_celebrates_at_most_once_in_50_minutes() -> None:
    story = [said(at, "protocol_violation") for at in range(100, 3000, 200)]
    result = told(established(), beats(30, 3000), story, until=3000)
    assert sum(what == "voice_celebrated" for _, what, _ in lines(result)) <= 1
    assert sum(what == "voice_celebrated" for _, what, _ in lines(result, "seam:data_contract")) <= 1


def test_a_seams_alarm_clears_at_6_and_is_repeated_once_per_pane() -> None:
    """1 of 1 child down, then beats again: the seam has the connection's pain and clears at .6 instead of .5."""
    story = [*established(), *beats(30, 600), said(300, "connection_failed"), said(301, "connection_failed")]
    result = told(story, until=600)
    seam = "seam:network_infrastructure"
    assert lines(result, seam) == [
        (330, "voice_raised", "Alarm"),
        (360, "voice_held", "Alarm"),
        (390, "voice_held", "Alarm"),
        (420, "voice_held", "Alarm"),
        (450, "voice_cleared", "Alarm"),
    ]


def test_killed_links_that_age_out_of_their_seam_are_no_recovery_and_nobody_celebrates() -> None:
    """Four of eight links fall silent at 300. At 1170 their evidence is 15 minutes old: the seam's Alarm is forgotten."""
    dead, alive = [f"c-{n}" for n in range(4)], [f"c-{n}" for n in range(4, 8)]
    story = [one for link in dead for one in beats(0, 300, connection=link)]
    story += [one for link in alive for one in beats(0, 2400, connection=link)]
    result = told(story, until=2400)
    seam = voices_of(result, "seam:network_infrastructure")
    assert [(v.window_end / 1000, v.delta.value, v.reason) for v in seam if v.delta != "voice_held"] == [
        (450, "voice_raised", None),
        (1170, "voice_cleared", "forgotten"),
    ]
    whole = voices_of(result, "ecosystem:iskra")
    assert [(v.window_end / 1000, v.delta.value, v.reason) for v in whole if v.delta != "voice_held"] == [
        (450, "voice_raised", None),
        (1170, "voice_cleared", "forgotten"),
    ]
