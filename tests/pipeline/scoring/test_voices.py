"""Voices as a pure decision: thresholds to the last bit, holds, waits, changes, Celebrations, revisions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.rules import VoiceRules
from pipeline.scoring.voices import (
    MUTE,
    Cause,
    Heard,
    Spoken,
    VoiceMemory,
    dump_memory,
    forget,
    load_memory,
    mostly_well,
    speak,
    speak_again,
    speak_early,
    thresholds,
    undisturbed,
    voice_lambda,
)
from schemas.types import Instant, Level, VoiceName

RULES = VoiceRules()
PANE = 30_000
CONNECTION, SEAM, ECOSYSTEM = Level.CONNECTION, Level.SEAM, Level.ECOSYSTEM
EVENT = 5
"""Time of the last contributor; a success after it is 6."""


def heard(
    pain: float = 0.0,
    chaos: float = 0.0,
    trust: float = 0.6,
    *,
    omega: float = 1.0,
    well: bool | None = None,
    success: Instant | None = None,
    forgotten: bool = False,
) -> Heard:
    cause = Cause(EVENT, forgotten)
    return Heard(
        "seam:s",
        pain,
        chaos,
        trust,
        chaos_omega=omega,
        well=trust > 0.7 if well is None else well,
        origin="0-1",
        last_success=success,
        alarm=cause,
        concern=cause,
        curiosity=cause,
    )


QUIET = heard()
ALARMING = heard(pain=0.9)
WORRYING = heard(trust=0.2)
STRANGE = heard(chaos=0.6)
WELL = heard(trust=0.8, success=6)


def end(pane: int) -> Instant:
    return pane * PANE


def follow(panes: Iterable[Heard], level: Level = CONNECTION, rules: VoiceRules = RULES) -> list[tuple[int, str, str]]:
    """What is said at panes 1, 2, …: (pane, what, voice)."""
    memory, said = MUTE, []
    for pane, one in enumerate(panes, 1):
        spoken = speak(memory, one, rules, level, end(pane))
        memory = spoken.memory
        said += [(pane, s.delta.removeprefix("voice_"), s.voice.value) for s in spoken.sayings]
    return said


def after(*panes: Heard, level: Level = CONNECTION, rules: VoiceRules = RULES) -> VoiceMemory:
    memory = MUTE
    for pane, one in enumerate(panes, 1):
        memory = speak(memory, one, rules, level, end(pane)).memory
    return memory


def told(spoken: Spoken) -> list[tuple[str, str]]:
    return [(s.delta.removeprefix("voice_"), s.voice.value) for s in spoken.sayings]


# ------------------------------------------------------------------------------------------------ thresholds


@pytest.mark.parametrize(
    ("scores", "speaks"),
    [
        (heard(pain=0.7), False),
        (heard(pain=math.nextafter(0.7, 1)), True),
        (heard(pain=math.nextafter(0.7, 0)), False),
        (heard(trust=0.3), False),
        (heard(trust=math.nextafter(0.3, 0)), True),
        (heard(trust=math.nextafter(0.3, 1)), False),
        (heard(chaos=0.5), False),
        (heard(chaos=math.nextafter(0.5, 1)), True),
        (heard(chaos=math.nextafter(0.5, 0)), False),
    ],
)
def test_exactly_at_a_threshold_nothing_fires(scores, speaks):
    assert bool(follow([scores] * 3)) is speaks


@pytest.mark.parametrize(
    ("raise_", "still", "ends", "level"),
    [
        (ALARMING, heard(pain=math.nextafter(0.5, 1)), heard(pain=0.5), CONNECTION),
        (ALARMING, heard(pain=math.nextafter(0.6, 1)), heard(pain=0.6), SEAM),
        (ALARMING, heard(pain=math.nextafter(0.6, 1)), heard(pain=0.6), ECOSYSTEM),
        (WORRYING, heard(trust=math.nextafter(0.45, 0)), heard(trust=0.45), CONNECTION),
        (STRANGE, heard(chaos=math.nextafter(0.3, 1)), heard(chaos=0.3), CONNECTION),
    ],
)
def test_a_voice_holds_until_its_clear_level_and_ends_exactly_there(raise_, still, ends, level):
    said = [one for one in follow([raise_, raise_, still, still, ends], level) if one[1] != "held"]
    assert [what for _, what, _ in said] == ["raised", "cleared"]
    assert said[-1][0] == 5


@pytest.mark.parametrize(
    ("scores", "pane"),
    [
        (ALARMING, 1),
        (WORRYING, 2),
        (STRANGE, 2),
        (heard(chaos=0.6, omega=0.5), 2),
        (heard(chaos=0.6, omega=math.nextafter(0.5, 0)), 3),
    ],
)
def test_a_voice_begins_after_its_number_of_panes_in_a_row(scores, pane):
    assert follow([scores] * 4) == [(pane, "raised", follow([scores] * 4)[0][2])]
    assert follow([scores] * (pane - 1) + [QUIET]) == []


def test_an_interrupted_row_begins_anew():
    assert follow([WORRYING, QUIET, WORRYING, QUIET, WORRYING]) == []


def test_the_thresholds_a_record_states_are_those_of_its_level():
    assert thresholds(RULES, SEAM).alarm_clear_pain == 0.6
    assert thresholds(RULES, CONNECTION).alarm_clear_pain == 0.5


def test_each_voice_asks_for_its_next_step():
    assert [voice_lambda(voice) for voice in VoiceName] == [
        "page_owner",
        "watch_and_plan",
        "investigate_anomaly",
        "resolve_incident",
    ]


# ------------------------------------------------------------------------------- who speaks, waits, interruptions


def test_the_first_by_priority_of_those_that_hold_speaks_and_a_change_is_one_record():
    both = heard(pain=0.9, trust=0.2)
    assert follow([WORRYING, WORRYING, both, heard(trust=0.4), heard(trust=0.5)]) == [
        (2, "raised", "Concern"),
        (3, "changed", "Alarm"),
        (4, "changed", "Concern"),
        (5, "cleared", "Concern"),
    ]


def test_a_change_names_the_voice_and_the_episode_that_spoke_before():
    memory = after(WORRYING, WORRYING)
    changed = speak(memory, heard(pain=0.9, trust=0.2), RULES, CONNECTION, end(3)).sayings[0]
    assert changed.previous_voice is VoiceName.CONCERN
    assert changed.previous_episode_id == memory.now.concern.episode_id
    assert changed.also_held == (VoiceName.CONCERN,)


def test_a_voice_that_has_not_spoken_takes_over_only_while_its_raise_condition_is_true():
    both, fading = heard(pain=0.9, trust=0.2), heard(trust=0.4)
    assert follow([both, both, fading, fading, WORRYING]) == [
        (1, "raised", "Alarm"),
        (3, "cleared", "Alarm"),
        (5, "raised", "Concern"),
    ]


def test_a_clear_tells_which_voices_still_hold_unspoken():
    memory = after(heard(pain=0.9, trust=0.2), heard(pain=0.9, trust=0.2))
    assert speak(memory, heard(trust=0.4), RULES, CONNECTION, end(3)).sayings[0].also_held == (VoiceName.CONCERN,)


def test_a_voice_does_not_begin_again_before_its_wait_has_passed():
    # pane 1 raised, 2 cleared; the wait of 60 s is two panes
    assert follow([ALARMING, QUIET, ALARMING, ALARMING]) == [
        (1, "raised", "Alarm"),
        (2, "cleared", "Alarm"),
        (4, "raised", "Alarm"),
    ]


@pytest.mark.parametrize(("scores", "first", "again"), [(WORRYING, 2, 11), (STRANGE, 2, 9)])
def test_concern_waits_240_s_and_curiosity_180_s(scores, first, again):
    panes = [scores, scores, QUIET, *[scores] * 12]
    raised = [pane for pane, what, _ in follow(panes) if what == "raised"]
    assert raised == [first, again]


def test_the_wait_is_not_asked_while_a_voice_of_lower_priority_speaks():
    worried, both = heard(trust=0.4), heard(pain=0.9, trust=0.4)
    panes = [WORRYING, WORRYING, heard(pain=0.9, trust=0.2), worried, both]
    assert follow(panes)[-2:] == [(4, "changed", "Concern"), (5, "changed", "Alarm")]


def test_a_level_repeats_its_voice_each_pane_and_a_connection_does_not():
    assert follow([ALARMING] * 3, SEAM) == [(1, "raised", "Alarm"), (2, "held", "Alarm"), (3, "held", "Alarm")]
    assert follow([ALARMING] * 3) == [(1, "raised", "Alarm")]


@pytest.mark.parametrize("period", [2, 3, 5])
def test_a_score_that_swings_over_its_threshold_alone_never_flaps(period):
    panes = [heard(pain=0.75 if pane % period == 0 else 0.55) for pane in range(60)]
    assert follow(panes) == [(1, "raised", "Alarm")]


# -------------------------------------------------------------------------------------------------- why it ends


@pytest.mark.parametrize(
    ("last", "level", "reason"),
    [
        (heard(success=6), CONNECTION, "recovered"),
        (heard(success=5), CONNECTION, "faded"),
        (heard(), CONNECTION, "faded"),
        (heard(success=6, forgotten=True), SEAM, "forgotten"),
        (heard(success=6, forgotten=True), CONNECTION, "recovered"),
    ],
)
@pytest.mark.parametrize("first", [ALARMING, WORRYING, STRANGE])
def test_a_clear_says_why(first, last, level, reason):
    memory = after(first, first, level=level)
    cleared = speak(memory, last, RULES, level, end(3)).sayings
    assert [(s.delta, s.reason) for s in cleared] == [("voice_cleared", reason)]


def test_a_voice_without_a_known_cause_recovers_by_any_success():
    memory = after(ALARMING)
    none = Heard("seam:s", 0.0, 0.0, 0.6, last_success=1)
    assert speak(memory, none, RULES, CONNECTION, end(2)).sayings[0].reason == "recovered"


def test_forgetting_clears_what_speaks_and_says_nothing_else():
    cleared = forget(after(ALARMING), end(9))
    assert [(s.delta, s.voice, s.reason, s.since) for s in cleared] == [
        ("voice_cleared", VoiceName.ALARM, "forgotten", end(1))
    ]
    assert forget(MUTE, end(9)) == ()


# -------------------------------------------------------------------------------------------------- Celebration


def celebrated(panes: Iterable[Heard], level: Level = CONNECTION, rules: VoiceRules = RULES) -> list[int]:
    return [pane for pane, what, _ in follow(panes, level, rules) if what == "celebrated"]


def test_a_recovery_is_celebrated_once_after_300_s_of_calm_and_two_panes():
    # 1 Alarm · 2 cleared · 12 is 300 s later · 13 the second pane in a row
    assert celebrated([ALARMING, *[WELL] * 40]) == [13]


@pytest.mark.parametrize("trust", [0.7, math.nextafter(0.7, 0)])
def test_trust_of_7_tenths_is_not_celebrated(trust):
    assert celebrated([ALARMING, *[heard(trust=trust)] * 40]) == []


def test_health_a_first_connect_and_curiosity_alone_are_not_celebrated():
    assert celebrated([WELL] * 40) == []
    assert celebrated([STRANGE, STRANGE, *[WELL] * 40]) == []


def test_nothing_is_celebrated_while_a_voice_holds_unspoken():
    # Concern holds from pane 2 on behind the Alarm, and its trust does not come back to .45 …
    panes = [heard(pain=0.9, trust=0.2)] * 2 + [heard(trust=0.4, well=True)] * 40
    assert celebrated(panes) == []


def test_an_interrupted_row_of_good_panes_begins_anew():
    panes = [ALARMING, *[WELL] * 10, WELL, QUIET, WELL, WELL]
    assert celebrated(panes) == [15]


def test_after_a_forgotten_clear_there_is_nothing_to_celebrate():
    panes = [ALARMING, heard(trust=0.8, forgotten=True), *[WELL] * 40]
    assert celebrated(panes, SEAM) == []
    assert celebrated(panes, CONNECTION) == [13]


def test_a_second_recovery_is_celebrated_again():
    story = [ALARMING, *[WELL] * 15]
    assert celebrated(story * 2) == [13, 29]


def test_without_the_recovery_condition_health_itself_is_celebrated_once_per_wait():
    literal = VoiceRules(celebration_requires_recovery=False)
    assert not undisturbed(MUTE, 0.0, 0.0, 0.8, literal)
    assert celebrated([WELL] * 26, rules=literal) == [2, 13, 24]


@pytest.mark.parametrize(
    ("healthy", "children", "well"), [(19, 20, True), (18, 20, False), (0, 0, False), (95, 100, True)]
)
def test_nineteen_of_twenty_is_mostly_well(healthy, children, well):
    assert mostly_well(healthy, children, RULES) is well


# -------------------------------------------------------------------------------------------------- early Alarms


def test_an_alarm_spoken_early_stands_although_the_pane_closes_lower():
    early = speak_early(MUTE, ALARMING, RULES, CONNECTION, end(1))
    assert [(s.delta, s.window_end, s.since) for s in early.sayings] == [("voice_raised", end(1), end(1))]
    closed = speak(early.memory, heard(pain=0.6), RULES, CONNECTION, end(1))
    assert closed.sayings == ()


def test_an_alarm_may_be_raised_early_and_cleared_at_the_end_of_the_same_pane():
    early = speak_early(MUTE, ALARMING, RULES, CONNECTION, end(1))
    assert told(speak(early.memory, QUIET, RULES, CONNECTION, end(1))) == [("cleared", "Alarm")]


def test_an_alarm_of_a_later_pane_is_not_asked_to_clear_before_that_pane_closes():
    early = speak_early(MUTE, ALARMING, RULES, CONNECTION, end(3))
    memory = early.memory
    for pane in (1, 2):
        spoken = speak(memory, QUIET, RULES, CONNECTION, end(pane))
        assert spoken.sayings == ()
        memory = spoken.memory
    assert told(speak(memory, QUIET, RULES, CONNECTION, end(3))) == [("cleared", "Alarm")]


def test_an_alarm_that_holds_is_not_spoken_early_again():
    memory = after(ALARMING)
    assert speak_early(memory, ALARMING, RULES, CONNECTION, end(2)) == Spoken(memory, ())


def test_an_early_alarm_takes_over_from_a_quieter_voice():
    assert told(speak_early(after(WORRYING, WORRYING), ALARMING, RULES, CONNECTION, end(3))) == [("changed", "Alarm")]


@pytest.mark.parametrize(("pane", "speaks"), [(3, False), (4, True)])
def test_an_early_alarm_waits_by_the_end_of_its_pane(pane, speaks):
    memory = after(ALARMING, QUIET)
    assert bool(speak_early(memory, ALARMING, RULES, CONNECTION, end(pane)).sayings) is speaks


@pytest.mark.parametrize("pain", [0.7, 0.1])
def test_an_alarm_that_is_not_certain_is_not_spoken_early(pain):
    assert speak_early(MUTE, heard(pain=pain), RULES, CONNECTION, end(1)).sayings == ()


# -------------------------------------------------------------------------------------------------- revisions


def test_a_revision_raises_what_the_pane_should_have_raised():
    again = speak_again(after(QUIET), ALARMING, RULES, CONNECTION, end(1))
    assert told(again) == [("raised", "Alarm")]
    assert again.memory.now == after(ALARMING).now


def test_a_revision_that_changes_no_speaker_says_nothing_and_keeps_the_episode():
    early = speak_early(MUTE, ALARMING, RULES, CONNECTION, end(2))
    memory = speak(early.memory, QUIET, RULES, CONNECTION, end(1)).memory
    again = speak_again(memory, heard(pain=0.95), RULES, CONNECTION, end(1))
    assert again.sayings == ()
    assert again.memory.now.alarm.episode_id == memory.now.alarm.episode_id
    assert again.memory.now.alarm.since == end(2)


def test_an_alarm_spoken_early_meanwhile_survives_a_revision_of_the_pane_before():
    memory = speak_early(after(QUIET), ALARMING, RULES, CONNECTION, end(2)).memory
    again = speak_again(memory, heard(pain=0.3), RULES, CONNECTION, end(1))
    assert again.sayings == ()
    assert again.memory.now.speaker is VoiceName.ALARM
    assert again.memory.now.alarm == memory.now.alarm


def test_an_alarm_that_was_told_keeps_its_episode_when_a_revision_finds_it_began_earlier():
    memory = speak_early(after(QUIET), ALARMING, RULES, CONNECTION, end(2)).memory
    again = speak_again(memory, ALARMING, RULES, CONNECTION, end(1))
    assert again.sayings == ()
    assert again.memory.now.alarm == replace(memory.now.alarm, run=1)


def test_a_voice_whose_cause_was_withdrawn_ends_as_revised_and_is_no_recovery():
    memory = after(ALARMING, ALARMING)
    again = speak_again(memory, QUIET, RULES, CONNECTION, end(2), withdrawn=True)
    assert [(s.delta, s.reason) for s in again.sayings] == [("voice_cleared", "revised")]
    assert again.memory.now.claim is False
    assert celebrated_after(again.memory, 3) == []


def test_a_voice_that_the_pane_itself_had_raised_ends_as_revised():
    again = speak_again(after(ALARMING), QUIET, RULES, CONNECTION, end(1))
    assert [(s.delta, s.reason) for s in again.sayings] == [("voice_cleared", "revised")]
    assert again.memory == MUTE


def test_a_voice_that_held_before_ends_by_a_revision_for_its_usual_reason():
    again = speak_again(after(ALARMING, ALARMING), heard(success=6), RULES, CONNECTION, end(2))
    assert [(s.delta, s.reason) for s in again.sayings] == [("voice_cleared", "recovered")]
    assert again.memory.now.claim is True


def test_a_forgotten_clear_found_by_a_revision_is_no_recovery_either():
    memory = after(ALARMING, ALARMING, level=SEAM)
    again = speak_again(memory, heard(forgotten=True), RULES, SEAM, end(2))
    assert [s.reason for s in again.sayings] == ["forgotten"]
    assert again.memory.now.claim is False


def test_a_claim_dropped_by_a_forgotten_clear_does_not_come_back_by_a_revision():
    memory = after(ALARMING, heard(forgotten=True), level=SEAM)
    again = speak_again(memory, heard(success=6), RULES, SEAM, end(2))
    assert again.sayings == ()
    assert again.memory.now.claim is False


def test_a_celebration_is_not_taken_back():
    memory = after(ALARMING, *[WELL] * 12)
    again = speak_again(memory, heard(trust=0.6), RULES, CONNECTION, end(13))
    assert again.sayings == ()
    assert again.memory.now.celebrated == end(13)
    assert again.memory.now.claim is False


def test_a_celebration_that_a_revision_brings_is_told_once():
    memory = after(ALARMING, *[WELL] * 11, QUIET)
    again = speak_again(memory, WELL, RULES, CONNECTION, end(13))
    assert told(again) == [("celebrated", "Celebration")]
    assert speak_again(again.memory, WELL, RULES, CONNECTION, end(13)).sayings == ()


def celebrated_after(memory: VoiceMemory, first: int) -> list[int]:
    found = []
    for pane in range(first, first + 40):
        spoken = speak(memory, WELL, RULES, CONNECTION, end(pane))
        memory = spoken.memory
        found += [pane for s in spoken.sayings if s.delta == "voice_celebrated"]
    return found


# -------------------------------------------------------------------------------------------------- properties

units = st.floats(0, 1)
anything = st.builds(
    heard,
    pain=units,
    chaos=units,
    trust=units,
    omega=units,
    success=st.sampled_from([None, 4, 6]),
    forgotten=st.booleans(),
)
levels = st.sampled_from([CONNECTION, SEAM])


@given(st.lists(anything, max_size=40), levels)
def test_raise_change_and_clear_alternate_as_a_subscriber_expects(panes, level):
    speaker = None
    for _, what, voice in follow(panes, level):
        if what == "raised":
            assert speaker is None
            speaker = voice
        elif what == "changed":
            assert speaker not in (None, voice)
            speaker = voice
        elif what in ("cleared", "held"):
            assert speaker == voice
            speaker = None if what == "cleared" else speaker
        else:
            assert speaker is None


@given(st.lists(anything, max_size=20), anything, levels)
def test_memory_survives_being_stored(panes, early, level):
    memory = after(*panes, level=level)
    memory = speak_early(memory, early, RULES, level, end(len(panes) + 1)).memory
    loaded = load_memory(dump_memory(memory))
    assert loaded == memory
    assert (loaded is MUTE) is (memory == MUTE)


@given(st.lists(anything, min_size=1, max_size=20), anything, levels)
def test_deciding_a_pane_again_comes_to_what_deciding_it_right_at_once_comes_to(panes, revised, level):
    *before, last = panes
    at_once = speak(after(*before, level=level), revised, RULES, level, end(len(panes)))
    again = speak_again(after(*before, last, level=level), revised, RULES, level, end(len(panes)))
    assert again.memory.now.speaker is at_once.memory.now.speaker


@given(st.lists(anything, max_size=20), anything, levels)
def test_deciding_a_pane_again_from_the_same_scores_says_nothing(panes, last, level):
    memory = after(*panes, last, level=level)
    assert speak_again(memory, last, RULES, level, end(len(panes) + 1)).sayings == ()


@given(anything)
def test_what_disturbs_nobody_says_nothing_and_is_not_remembered(one):
    if undisturbed(MUTE, one.pain, one.chaos, one.trust, RULES):
        assert speak(MUTE, one, RULES, CONNECTION, end(1)) == Spoken(MUTE, ())
