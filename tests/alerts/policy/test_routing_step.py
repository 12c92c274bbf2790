from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.policy.alerts import AlertState
from alerts.policy.model import AlertRules, Decide, Effect, Heard, Intend, Receiver, Tick, builtin_routes
from alerts.policy.routing_step import Plan, RoutingState, outcome_of, step
from schemas.types import Level
from tests.alerts.saying import facts

SLACK = Receiver("slack", "slack", "slack:default/C1")
PAGER = Receiver("pagerduty", "pagerduty", "pagerduty:default")
RULES = AlertRules()
SECOND, MINUTE = 1_000, 60_000


class Told:
    """A router's policy and all it said."""

    def __init__(self, rules: AlertRules = RULES, receivers: tuple[Receiver, ...] = (SLACK, PAGER)) -> None:
        self.plan = Plan(rules, builtin_routes(receivers))
        self.state = RoutingState()
        self.now = 1_000_000
        self.effects: list[Effect] = []

    def hear(self, *args: Any, **kwargs: Any) -> list[str]:
        """One record; what was said, as ``receiver action why``."""
        heard = Heard(facts(*args, **kwargs))
        self.state, said = step(self.state, heard, self.now, self.plan)
        self.effects.extend(said)
        return self._short(said)

    def ticks(self, seconds: int) -> list[str]:
        said: list[str] = []
        for _ in range(seconds):
            self.now += SECOND
            self.state, effects = step(self.state, Tick(), self.now, self.plan)
            self.effects.extend(effects)
            said += self._short(effects)
        return said

    @staticmethod
    def _short(effects: tuple[Effect, ...]) -> list[str]:
        return [f"{one.kind} {one.action} {one.why}" for one in effects if isinstance(one, Intend)]

    @property
    def intents(self) -> list[Intend]:
        return [one for one in self.effects if isinstance(one, Intend)]

    @property
    def decisions(self) -> list[Decide]:
        return [one for one in self.effects if isinstance(one, Decide)]

    def gates(self) -> list[str | None]:
        return [one.gate for one in self.decisions]


def test_an_alarm_pages_and_is_talked_about_at_once_and_both_hear_its_end() -> None:
    told = Told()
    assert told.hear("raise") == ["pagerduty open first", "slack open first"]
    assert told.hear("clear", end=66_000, since=30_000) == [
        "pagerduty resolve all_resolved",
        "slack resolve all_resolved",
    ]
    opened, ended = told.intents[0], told.intents[2]
    assert opened.dedup_key == ended.dedup_key
    assert (ended.duration, ended.severity, ended.sequence) == (36_000, "critical", 2)


def test_a_concern_waits_half_a_minute_and_pages_nobody() -> None:
    told = Told()
    assert told.hear("raise", "Concern", trust=0.2) == []
    assert told.ticks(29) == []
    assert told.ticks(1) == ["slack open first"]


def test_a_concern_that_ends_within_its_wait_says_nothing() -> None:
    told = Told()
    told.hear("raise", "Concern")
    told.ticks(20)
    assert told.hear("clear", "Concern", end=60_000) == []
    assert told.ticks(100) == []
    assert told.decisions[-1].verdicts[0].gate == "too_short"
    assert told.state.groups == {}


def test_a_step_up_to_alarm_pages_and_notifies_in_the_same_message() -> None:
    told = Told()
    told.hear("raise", "Concern")
    told.ticks(30)
    assert told.hear("change", "Alarm", end=60_000) == ["slack note escalated", "pagerduty open first"]
    slack = [one for one in told.intents if one.kind == "slack"]
    assert len({one.group_episode for one in slack}) == 1
    assert [one.sequence for one in slack] == [1, 2]


def test_a_step_down_ends_the_page_and_edits_the_message() -> None:
    told = Told()
    told.hear("raise", "Alarm")
    assert told.hear("change", "Concern", end=60_000) == ["pagerduty resolve all_resolved", "slack update changed"]
    assert told.hear("clear", "Concern", end=90_000) == ["slack resolve all_resolved"]


def test_a_second_alarm_after_the_first_ended_is_a_new_incident() -> None:
    told = Told()
    told.hear("raise", end=30_000)
    told.hear("clear", end=60_000, since=30_000)
    told.hear("raise", end=120_000)
    opens = [one for one in told.intents if one.action == "open"]
    assert len({one.dedup_key for one in opens}) == len(opens) == 4


def test_the_same_episode_raised_again_gets_keys_of_its_own() -> None:
    told = Told()
    for end in (30_000, 120_000):
        told.hear("raise", end=end, episode="same")
        told.hear("clear", end=end + 30_000, episode="same")
    assert len({one.dedup_key for one in told.intents if one.action == "open"}) == 4


def test_new_numbers_are_an_edit_at_most_once_a_minute() -> None:
    told = Told()
    told.hear("raise")
    said = []
    for nth in range(6):
        said += told.ticks(30)
        said += told.hear("hold", end=60_000 + nth * 30_000, since=30_000, pain=0.8 + nth / 100)
    assert said == ["slack update changed"] * 3


def test_a_silent_level_is_stale_and_never_resolved_by_itself() -> None:
    told = Told()
    told.hear("raise")
    assert told.ticks(119) == []
    assert told.ticks(1) == ["slack note stale"]
    assert told.ticks(3_000) == []
    assert told.hear("hold", end=90_000, since=30_000) == ["slack note stale_ended"]


def test_a_forgotten_level_stays_open_until_somebody_closes_it() -> None:
    told = Told()
    told.hear("raise")
    assert told.hear("clear", end=60_000, since=30_000, reason="forgotten") == ["slack note stale"]
    [alert] = told.state.alerts.values()
    assert alert.state is AlertState.STALE
    assert not [one for one in told.intents if one.action == "resolve"]


def test_an_hour_of_flapping_is_four_opens_three_ends_and_two_notices() -> None:
    told = Told()
    said: list[str] = []
    for nth in range(30):
        said += told.hear("raise", end=nth * 120_000)
        said += told.ticks(60)
        said += told.hear("clear", end=nth * 120_000 + 60_000, since=nth * 120_000)
        said += told.ticks(60)
    said += told.ticks(40 * 60)
    pager = [one for one in said if one.startswith("pagerduty")]
    assert pager == [
        *["pagerduty open first", "pagerduty resolve all_resolved"] * 3,
        "pagerduty open flapping",
        "pagerduty resolve flap_ended",
    ]


def test_the_seams_alarm_mutes_the_ecosystem_while_it_is_alone() -> None:
    told = Told()
    over = {"pain": 1, "chaos": 0, "distrust": 0}
    told.hear("raise", subject="seam:a")
    alone = {"worst_child": "seam:a", "children": 4, "children_over": over}
    assert told.hear("raise", subject="ecosystem:iskra", **alone) == []
    assert told.ticks(60) == []
    assert told.decisions[-1].verdicts[0].flips_when == "seam:a clears"
    assert told.hear("clear", subject="seam:a", end=60_000, since=30_000)[:1] == ["pagerduty resolve all_resolved"]
    assert told.ticks(2) == []
    assert told.hear("clear", subject="ecosystem:iskra", end=60_000, since=30_000, **alone) == []


def test_the_ecosystem_speaks_when_a_second_seam_is_over() -> None:
    told = Told()
    told.hear("raise", subject="seam:a")
    told.hear(
        "raise", subject="ecosystem:iskra", worst_child="seam:a", children_over={"pain": 1, "chaos": 0, "distrust": 0}
    )
    told.ticks(10)
    more = {"worst_child": "seam:a", "children_over": {"pain": 2, "chaos": 0, "distrust": 0}}
    assert told.hear("hold", subject="ecosystem:iskra", end=60_000, since=30_000, **more) == []
    assert told.ticks(3) == ["pagerduty open inhibitor_gone", "slack open inhibitor_gone"]


def test_a_late_ecosystem_that_was_told_first_is_still_resolved() -> None:
    told = Told()
    alone = {"worst_child": "seam:a", "children_over": {"pain": 1, "chaos": 0, "distrust": 0}}
    told.hear("raise", subject="ecosystem:iskra", **alone)
    assert told.ticks(3) == ["pagerduty open first", "slack open first"]
    told.hear("raise", subject="seam:a")
    said = told.hear("clear", subject="ecosystem:iskra", end=60_000, since=30_000, **alone)
    assert said == ["pagerduty resolve all_resolved", "slack resolve all_resolved"]


def test_a_celebration_goes_to_those_who_were_told_and_once() -> None:
    told = Told()
    told.hear("raise")
    told.hear("clear", end=60_000, since=30_000)
    assert told.hear("celebrate", "Celebration", end=400_000) == ["slack good celebrated"]
    assert told.hear("celebrate", "Celebration", end=900_000) == []
    assert [one.gate for one in told.decisions[-1].verdicts] == ["already_celebrated", "already_celebrated"]


def test_a_celebration_without_an_ended_episode_is_just_a_decision() -> None:
    told = Told()
    assert told.hear("celebrate", "Celebration") == []
    assert told.gates() == ["no_ended_episode"]


def test_experiments_and_connections_reach_nobody_and_leave_a_decision() -> None:
    told = Told()
    assert told.hear("raise", subject="seam:a@drill", experiment_id="drill") == []
    assert told.hear("raise", subject="connection:c-1") == []
    assert told.hear("hold", subject="connection:c-1") == []
    assert told.gates() == ["experiment", "level", "level"]
    assert told.state.alerts == {}


def test_a_clear_without_a_raise_and_a_repeat_are_decisions_only() -> None:
    told = Told()
    assert told.hear("clear") == []
    told.hear("raise")
    assert told.hear("raise") == []
    assert told.gates() == ["no_raise", None, "repeated"]


def test_a_held_voice_that_nobody_knew_is_adopted() -> None:
    told = Told()
    assert told.hear("hold") == ["pagerduty open first", "slack open first"]
    assert told.decisions[0].transitions[0].cause == "adopted"


def test_a_clock_that_goes_back_stands_still() -> None:
    told = Told()
    told.hear("raise")
    told.now = 5
    told.hear("clear", end=60_000, since=30_000)
    assert [one.created for one in told.intents] == [1_000_000] * 4


def test_without_receivers_of_a_kind_there_is_no_route_of_it() -> None:
    told = Told(receivers=(PAGER,))
    assert told.hear("raise", "Concern") == []
    assert told.gates() == ["no_route"]


def test_links_that_fail_later_than_a_minute_are_another_page() -> None:
    told = Told(AlertRules(levels=(Level.CONNECTION,)))
    told.hear("raise", subject="connection:a")
    told.ticks(61)
    told.hear("raise", subject="connection:b")
    assert told.ticks(10) == ["slack update new_alerts", "pagerduty open first"]
    assert len({one.group_episode for one in told.intents if one.kind == "pagerduty"}) == 2
    assert len({one.group_episode for one in told.intents if one.kind == "slack"}) == 1


def test_a_step_up_of_a_pager_opens_a_new_key_before_it_closes_the_old() -> None:
    told = Told(receivers=(PAGER,))
    [page] = told.plan.routes
    told.plan = Plan(RULES, (replace(page, voices=("Concern", "Alarm")),))  # type: ignore[arg-type] # names are equal to their enum
    told.hear("raise", "Concern")
    told.ticks(30)
    assert told.hear("change", "Alarm", end=60_000) == ["pagerduty open escalated", "pagerduty resolve escalated"]
    first, second, third = told.intents
    assert (third.dedup_key, [one.sequence for one in told.intents]) == (first.dedup_key, [1, 2, 3])
    assert second.dedup_key != first.dedup_key
    assert told.hear("clear", "Alarm", end=90_000) == ["pagerduty resolve all_resolved"]
    assert told.intents[-1].dedup_key == second.dedup_key


def test_each_record_has_one_outcome() -> None:
    told = Told()
    for args, outcome in (
        (("raise",), "heard"),
        (("raise",), "repeated"),
        (("hold",), "held"),
        (("raise", "Alarm", "connection:c"), "level"),
    ):
        heard = Heard(facts(*args))
        told.state, said = step(told.state, heard, told.now, told.plan)
        assert outcome_of(said, heard) == outcome
    assert outcome_of((), Tick()) == "tick"


def test_a_group_whose_route_was_gone_for_hours_ends_with_its_alerts() -> None:
    told = Told()
    told.hear("raise")
    plan, told.plan = told.plan, Plan(RULES, ())
    told.hear("clear", end=60_000, since=30_000)
    told.now += 61 * MINUTE
    told.ticks(1)
    assert told.state.alerts == {}
    told.plan = plan
    assert told.ticks(1) == []
    assert [group.ended_at for group in told.state.groups.values()] == [told.now, told.now]


def test_a_celebration_passes_by_those_who_were_never_told() -> None:
    told = Told()
    told.hear("raise")
    told.hear("clear", end=60_000, since=30_000)
    groups = {
        name: replace(group, lines=tuple(replace(line, told=None) for line in group.lines))
        for name, group in told.state.groups.items()
    }
    told.state = replace(told.state, groups=groups)
    assert told.hear("celebrate", "Celebration", end=400_000) == []
    assert {one.gate for one in told.decisions[-1].verdicts} == {"never_told"}


SUBJECTS = st.sampled_from(["seam:a", "seam:b", "ecosystem:iskra", "connection:c-1", "connection:c-2"])
VOICES = st.sampled_from(["Alarm", "Concern", "Curiosity"])


class Policy(RuleBasedStateMachine):
    """Any story, good or mad, then quiet."""

    def __init__(self) -> None:
        super().__init__()
        levels = (Level.CONNECTION, Level.SEAM, Level.ECOSYSTEM, Level.PIPELINE)
        self.told = Told(AlertRules(levels=levels))
        self.nth = 0
        self.speaking: dict[str, str] = {}
        self.checked = 0
        self.keys: dict[tuple[str, str], str] = {}
        self.sequences: dict[tuple[str, str], int] = {}

    def _hear(self, what: str, voice: str, subject: str, **more: Any) -> None:
        self.nth += 1
        over = {"pain": self.nth % 3, "chaos": 1, "distrust": 1}
        self.told.now += 100
        self.told.hear(
            what, voice, subject, n=self.nth, end=self.nth * 30_000, seam="a" if "connection" in subject else None,
            worst_child="seam:a", children=3, children_over=over, **more,
        )  # fmt: skip

    @rule(subject=SUBJECTS, voice=VOICES)
    def speak(self, subject: str, voice: str) -> None:
        self._hear("change" if subject in self.speaking else "raise", voice, subject)
        self.speaking[subject] = voice

    @rule(subject=SUBJECTS, voice=VOICES, what=st.sampled_from(["raise", "hold", "clear"]))
    def say_anything(self, subject: str, voice: str, what: str) -> None:
        self._hear(what, voice, subject)
        self.speaking[subject] = voice

    @rule(subject=SUBJECTS)
    def hold(self, subject: str) -> None:
        self._hear("hold", self.speaking.setdefault(subject, "Alarm"), subject)

    @precondition(lambda self: self.speaking)
    @rule(data=st.data(), reason=st.sampled_from(["recovered", "faded", "revised", "forgotten"]))
    def clear(self, data: st.DataObject, reason: str) -> None:
        subject = data.draw(st.sampled_from(sorted(self.speaking)))
        self._hear("clear", self.speaking.pop(subject), subject, reason=reason)

    @rule(subject=SUBJECTS)
    def celebrate(self, subject: str) -> None:
        self._hear("celebrate", "Celebration", subject)

    @rule(seconds=st.sampled_from([1, 5, 31, 130]))
    def wait(self, seconds: int) -> None:
        self.told.ticks(seconds)

    @invariant()
    def every_intent_is_sound(self) -> None:
        for intent in self.told.intents[self.checked :]:
            line = (intent.group_episode, intent.destination)
            assert intent.sequence == self.sequences.get(line, 0) + 1
            self.sequences[line] = intent.sequence
            key = (intent.dedup_key, intent.destination)
            before = self.keys.get(key)
            allowed = {
                None: {"open"},
                "open": {"update", "note", "resolve"},
                "resolve": {"good"},
                "good": set[str](),
            }[before]
            assert intent.action in allowed, (before, intent.action)
            if intent.action in {"open", "resolve", "good"}:
                self.keys[key] = intent.action
        self.checked = len(self.told.intents)

    def teardown(self) -> None:
        for alert in list(self.told.state.alerts.values()):
            if alert.open:
                self._hear("clear", alert.voice.value, alert.subject)
        self.told.ticks(5)
        self.told.now += 31 * MINUTE
        self.told.ticks(5)
        self.every_intent_is_sound()
        assert not [key for key, action in self.keys.items() if action == "open"], "told = resolved after quiet"
        assert not [group for group in self.told.state.groups.values() if group.ended_at is None]
        named = [name for one in self.told.decisions for verdict in one.verdicts for name in verdict.notification_ids]
        assert sorted(named) == sorted(one.notification_id for one in self.told.intents)
        assert len(set(named)) == len(named)


Policy.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPolicy = Policy.TestCase
