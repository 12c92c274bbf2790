from __future__ import annotations

from typing import Any

from alerts.policy.sending_step import (
    Answered,
    Arrived,
    Bury,
    DestinationState,
    Head,
    Pending,
    SendEffect,
    SendEvent,
    Settle,
    Start,
    Woke,
    call_id,
    recovered,
    step,
)

NOW = 1_700_000_000_000


def pending(
    nid: str = "n1",
    episode: str = "g1",
    action: str = "open",
    sequence: int = 1,
    severity: str = "critical",
    key: str | None = None,
) -> Pending:
    return Pending(nid, episode, key or f"k-{episode}", action, severity, sequence, NOW)  # type: ignore[arg-type] # short tables


class Story:
    """One destination, told in short words."""

    def __init__(self, kind: str = "slack") -> None:
        self.state = DestinationState(Head("d", kind))  # type: ignore[arg-type] # short tables
        self.now = NOW
        self.said: list[SendEffect] = []

    def _do(self, event: SendEvent) -> list[Any]:
        self.state, effects = step(self.state, event, self.now)
        self.said.extend(effects)
        return [self._short(effect) for effect in effects]

    @staticmethod
    def _short(effect: SendEffect) -> Any:
        if isinstance(effect, Start):
            return ("start", effect.call_id)
        if isinstance(effect, Bury):
            return ("bury", effect.waiting.intent.notification_id, effect.reason)
        return (effect.outcome, effect.intent.notification_id, effect.reason)

    def arrive(self, *args: Any, **kwargs: Any) -> list[Any]:
        return self._do(Arrived(pending(*args, **kwargs), "{}"))

    def answer(self, refused: str | None = None, **more: Any) -> list[Any]:
        sending = self.state.head.sending
        assert sending is not None
        ids = {"ts": "1"} if refused is None else {}
        return self._do(Answered(call_id(sending.notification_id, sending.tries), refused, ids, **more))  # type: ignore[arg-type] # short tables

    def wait(self, ms: int) -> list[Any]:
        self.now += ms
        return self._do(Woke())

    def crash(self) -> None:
        self.state = recovered(self.state)


def test_an_intent_is_announced_called_answered_and_settled() -> None:
    story = Story()
    assert story.arrive() == [("start", "n1:1")]
    assert story.state.head.sending is not None
    assert story.answer() == [("delivered", "n1", "ok")]
    assert story.state.head.sending is None
    assert story.state.waiting == {}
    assert story.state.known["g1"].ids == {"ts": "1"}


def test_one_call_is_in_flight_per_destination() -> None:
    story = Story()
    assert story.arrive("n1") == [("start", "n1:1")]
    assert story.arrive("n2", "g2") == []
    assert story.answer() == [("delivered", "n1", "ok"), ("start", "n2:1")]


def test_order_is_strict_inside_an_episode_and_by_urgency_between_them() -> None:
    story = Story("console")
    story.arrive("first", "g0")
    story.arrive("curious", "g1", severity="info")
    story.arrive("alarm", "g2")
    story.arrive("alarm-note", "g2", "note", 2)
    starts = []
    while story.state.head.sending is not None:
        starts += [said[1] for said in story.answer() if said[0] == "start"]
    assert starts == ["alarm:1", "curious:1", "alarm-note:1"]


def test_an_answer_of_another_life_changes_nothing() -> None:
    story = Story()
    story.arrive()
    before = story.state
    assert story._do(Answered("n1:7", None)) == []
    assert story.state == before


def test_a_call_without_an_answer_may_have_arrived() -> None:
    story = Story()
    story.arrive()
    story.crash()
    waiting = story.state.waiting["n1"]
    assert (story.state.head.sending, waiting.seen, [one.outcome for one in waiting.attempts]) == (
        None,
        True,
        ["ambiguous"],
    )
    assert story.wait(1_000) == [("start", "n1:2")]
    assert isinstance(story.said[-1], Start)
    assert story.said[-1].waiting.seen


def test_a_crash_with_nothing_announced_changes_nothing() -> None:
    state = Story().state
    assert recovered(state) is state


def test_throttled_pauses_the_destination_and_uses_no_attempt() -> None:
    story = Story()
    story.arrive()
    assert story.answer("throttled", retry_after="30") == []
    assert story.wait(29_999) == []
    assert story.wait(1) == [("start", "n1:2")]
    assert story.state.waiting["n1"].failures == 0
    assert story.answer() == [("delivered", "n1", "ok")]
    assert story.state.head.throttles == 0


def test_a_pause_ends_after_five_minutes_whatever_is_asked() -> None:
    story = Story("pagerduty")
    story.arrive()
    story.answer("throttled", retry_after="86400")
    assert story.wait(299_999) == []
    assert story.wait(1) == [("start", "n1:2")]


def test_pagerduty_rests_at_least_half_a_minute() -> None:
    story = Story("pagerduty")
    story.arrive()
    story.answer("throttled")
    assert story.wait(29_999) == []


def test_transient_backs_off_and_lets_others_go_first() -> None:
    story = Story()
    story.arrive("n1", "g1")
    story.arrive("n2", "g2")
    assert story.answer("transient") == [("start", "n2:1")]
    story.answer()
    assert story.wait(2_000) == [("start", "n1:2")]
    assert not story.state.waiting["n1"].seen


def test_ambiguous_is_remembered_as_possibly_seen() -> None:
    story = Story()
    story.arrive()
    story.answer("ambiguous", seen=True)
    assert story.state.waiting["n1"].seen


def test_a_wrong_configuration_is_probed_each_five_minutes() -> None:
    story = Story()
    story.arrive()
    story.answer("config")
    assert story.wait(299_999) == []
    assert story.wait(1) == [("start", "n1:2")]
    assert story.answer() == [("delivered", "n1", "ok")]


def test_the_third_unknown_answer_is_taken_as_a_wrong_configuration() -> None:
    story = Story()
    story.arrive()
    for _ in range(2):
        story.answer("unknown", seen=True)
        assert [said[0] for said in story.wait(61_000)] == ["start"]
    story.answer("unknown", seen=True)
    assert story.wait(299_999) == []
    assert [said[0] for said in story.wait(1)] == ["start"]


def test_a_refused_payload_is_sent_as_plain_text_once_and_then_buried() -> None:
    story = Story()
    story.arrive()
    assert story.answer("payload") == [("start", "n1:2")]
    assert isinstance(story.said[-1], Start)
    assert story.said[-1].waiting.minimal
    assert story.answer("payload", text="too long") == [("bury", "n1", "payload"), ("dead", "n1", "payload")]
    assert story.state.waiting == {}


def test_what_follows_a_buried_open_is_dropped() -> None:
    story = Story()
    story.arrive("n1")
    story.arrive("n2", action="note", sequence=2)
    story.answer("payload")
    assert story.answer("payload")[2:] == [("dropped", "n2", "never_opened")]
    assert story.arrive("n3", action="resolve", sequence=3) == [("dropped", "n3", "never_opened")]


def test_pagerduty_takes_a_resolve_of_what_it_may_never_have_seen() -> None:
    story = Story("pagerduty")
    assert story.arrive("n3", action="resolve", sequence=3) == [("start", "n3:1")]


def test_newer_state_replaces_older_while_it_waits() -> None:
    story = Story()
    story.arrive("n1")
    assert story.arrive("n2", action="update", sequence=2) == []
    assert story.arrive("n3", action="update", sequence=3) == [("superseded", "n2", "superseded")]
    assert story.arrive("n4", action="note", sequence=4) == [("superseded", "n3", "superseded")]
    assert story.arrive("n5", action="resolve", sequence=5) == [("superseded", "n4", "superseded")]
    assert list(story.state.waiting) == ["n1", "n5"]


def test_a_note_that_may_have_arrived_is_not_replaced() -> None:
    story = Story()
    story.arrive("n1")
    story.answer()
    story.arrive("n2", action="note", sequence=2)
    story.answer("ambiguous")
    assert story.arrive("n3", action="note", sequence=3) == []
    assert list(story.state.waiting) == ["n2", "n3"]


def test_an_open_is_dropped_with_its_own_resolve_if_nobody_can_have_seen_it() -> None:
    story = Story()
    story.arrive("x", "other")
    story.arrive("n1")
    story.arrive("n2", action="note", sequence=2)
    assert story.arrive("n3", action="resolve", sequence=3) == [
        ("dropped", "n1", "overtaken"),
        ("dropped", "n2", "overtaken"),
        ("dropped", "n3", "overtaken"),
    ]


def test_an_open_that_may_have_arrived_is_carried_through_to_its_resolve() -> None:
    story = Story()
    story.arrive("n1")
    story.answer("ambiguous")
    assert story.arrive("n2", action="resolve", sequence=2) == []
    assert story.wait(2_000) == [("start", "n1:2")]
    assert story.answer() == [("delivered", "n1", "ok"), ("start", "n2:1")]


def test_an_open_in_flight_is_not_overtaken() -> None:
    story = Story()
    story.arrive("n1")
    assert story.arrive("n2", action="resolve", sequence=2) == []
    assert story.answer("transient") == []
    assert story.wait(2_000) == [("start", "n1:2")]


def test_stepping_up_resolves_only_the_old_key() -> None:
    story = Story("pagerduty")
    story.arrive("n1", key="old")
    story.answer()
    assert story.arrive("n2", sequence=2, key="new") == [("start", "n2:1")]
    assert story.arrive("n3", action="resolve", sequence=3, key="old") == []
    assert story.answer() == [("delivered", "n2", "ok"), ("start", "n3:1")]


def test_edits_of_one_message_are_ten_seconds_apart_but_a_resolve_does_not_wait() -> None:
    story = Story()
    story.arrive("n1")
    story.answer()
    assert story.arrive("n2", action="update", sequence=2) == []
    assert story.wait(9_999) == []
    assert story.wait(1) == [("start", "n2:1")]
    story.answer()
    assert story.arrive("n3", action="resolve", sequence=3) == [("start", "n3:1")]


def test_posts_to_a_channel_are_paced_before_sending() -> None:
    story = Story()
    starts = 0
    for nth in range(5):
        starts += len(story.arrive(f"n{nth}", f"g{nth}"))
    for _ in range(2):
        starts += len([said for said in story.answer() if said[0] == "start"])
    assert (starts, story.answer()) == (3, [("delivered", "n2", "ok")])
    assert story.wait(999) == []
    assert story.wait(1) == [("start", "n3:1")]


def test_an_intent_that_is_known_already_is_not_doubled() -> None:
    story = Story()
    story.arrive("n1")
    assert story.arrive("n1") == []
    assert list(story.state.waiting) == ["n1"]


def test_a_closed_episode_is_kept_for_its_celebration_and_then_forgotten() -> None:
    story = Story()
    story.arrive("n1")
    story.answer()
    story.arrive("n2", action="resolve", sequence=2)
    story.answer()
    story.wait(3_600_000)
    assert story.arrive("n3", action="good", sequence=3) == [("start", "n3:1")]
    story.answer()
    story.wait(7_200_001)
    assert story.state.known == {}


def test_every_intent_ends_once() -> None:
    story = Story()
    for nth in range(30):
        action = ("open", "update", "note", "update", "resolve")[nth % 5]
        story.arrive(f"n{nth}", f"g{nth // 5}", action, nth % 5 + 1)
    while story.state.waiting:
        story.wait(1_000)
        if story.state.head.sending is not None:
            story.answer()
    settled = sorted(effect.intent.notification_id for effect in story.said if isinstance(effect, Settle))
    assert settled == sorted(f"n{nth}" for nth in range(30))
