"""Silence, closing, forgetting (semantics.md 3.6) by the oracle."""

from __future__ import annotations

from .timelines import beats, established, lines, said, score_at, told


def test_beats_to_270_then_nothing_is_silent_first_in_the_pane_ending_360_and_alarm_at_420() -> None:
    result = told(beats(0, 300), until=450)
    events = {at: score_at(result, at).counts for at in (300, 330, 360, 390, 420)}
    assert {at: (c.events, c.failures) for at, c in events.items()} == {
        300: (1, 0),
        330: (0, 0),
        360: (1, 1),
        390: (1, 1),
        420: (1, 1),
    }
    assert score_at(result, 330).link_state == "unknown"
    assert score_at(result, 360).link_state == "down"
    assert lines(result) == [(420, "voice_raised", "Alarm")]


def test_a_good_heartbeat_after_silence_proves_up_and_a_slow_one_does_not() -> None:
    quiet = [*established(), *beats(30, 60)]
    good = told(quiet, beats(200, 201, latency_ms=100), until=210)
    slow = told(quiet, beats(200, 201, latency_ms=600), until=210)
    assert [score_at(r, 180).link_state for r in (good, slow)] == ["down", "down"]
    assert [score_at(r, 210).link_state for r in (good, slow)] == ["up", "down"]


def test_a_closed_connection_is_not_silent_and_is_forgotten_five_minutes_after_its_last_event() -> None:
    result = told(established(), [said(40, "connection_closed")], until=600)
    ends = [end // 1000 for subject, end in result.scores if subject == "connection:c-1"]
    assert ends == list(range(30, 340, 30))
    assert {score_at(result, at).link_state for at in ends[1:]} == {"closed"}
    assert sum(score_at(result, at).counts.events for at in ends) == 2


def test_an_unclosed_connection_is_forgotten_an_hour_after_its_last_real_event_and_its_alarm_ends_as_forgotten() -> (
    None
):
    result = told(established(), until=4000)
    ends = [end // 1000 for subject, end in result.scores if subject == "connection:c-1"]
    assert (ends[0], ends[-1]) == (30, 3570)
    last = [voice for voice in result.voices if voice.subject == "connection:c-1"][-1]
    assert (last.window_end, last.delta, last.voice, last.reason) == (3_600_000, "voice_cleared", "Alarm", "forgotten")


def test_a_forgotten_connection_starts_from_nothing() -> None:
    result = told(established(), [said(40, "connection_closed"), said(700, "connection_lost")], until=720)
    fresh = told([said(700, "connection_lost")], until=720)
    assert score_at(result, 720).chaos == score_at(fresh, 720).chaos
    assert score_at(result, 720).trust == score_at(fresh, 720).trust


def test_a_silent_link_leaves_its_seam_after_15_minutes_without_a_word_of_its_own() -> None:
    other = "c-2"
    result = told(beats(0, 30), beats(0, 1200, connection=other), until=1200)
    children = {at: score_at(result, at, "seam:network_infrastructure").children for at in (870, 900)}
    assert children == {870: 2, 900: 1}
    assert score_at(result, 900).pain > 0.7


def test_up_closed_down_is_one_change_and_up_closed_up_is_none() -> None:
    def chaos(delta: str) -> float:
        story = [*established(), said(10, "connection_closed"), said(20, delta)]
        return score_at(told(story, until=30), 30).chaos

    assert round(chaos("network_up"), 6) == 0
    assert round(chaos("connection_closed_by_peer"), 6) == 0.095163  # 1 − exp(−.1)


def test_an_agent_silent_from_outside_about_a_stranger_is_not_scored_and_of_a_friend_is_no_speech() -> None:
    stranger = told([said(10, "agent_silent")], until=30)
    assert (dict(stranger.scores), stranger.verdicts) == ({}, (("no_event", "unscored"),))
    friend = told(beats(0, 30), [said(80, "agent_silent")], until=120)
    assert [score_at(friend, at).counts.events for at in (30, 60, 90, 120)] == [1, 0, 2, 1]
