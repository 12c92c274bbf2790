"""Which voice a subject speaks with, decided once per pane, the same way on every level.

Alarm, Concern and Curiosity each *hold* on their own, from raise to clear; the first by priority of those that hold
*speaks*; a Celebration is one-shot. The memory keeps two standings, as of now and before the newest closed pane, so
that a revision can decide that pane again. What a level means (who its children are, when it is well) is the
caller's: this module is told by :class:`Heard`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from schemas.ids import record_id
from schemas.types import Instant, Level, Unit, VoiceName
from schemas.voices import ClearReason, Thresholds, VoiceDelta

from .rules import VoiceRules

__all__ = [
    "MUTE",
    "UNHEARD",
    "Cause",
    "Heard",
    "Hold",
    "Saying",
    "Spoken",
    "Standing",
    "VoiceMemory",
    "dump_memory",
    "early_alarm",
    "forget",
    "load_memory",
    "mostly_well",
    "speak",
    "speak_again",
    "speak_early",
    "thresholds",
    "undisturbed",
    "voice_lambda",
]

_HOLDING = (VoiceName.ALARM, VoiceName.CONCERN, VoiceName.CURIOSITY)
"""By priority."""
_GRAVE = (VoiceName.ALARM, VoiceName.CONCERN)
"""Those whose end can be celebrated."""
_LAMBDAS = {
    VoiceName.ALARM: "page_owner",
    VoiceName.CONCERN: "watch_and_plan",
    VoiceName.CURIOSITY: "investigate_anomaly",
    VoiceName.CELEBRATION: "resolve_incident",
}


class Cause(NamedTuple):
    """What a voice rests on, to tell why it ends."""

    last: Instant | None = None
    """Event time of the last contributor: harm for the Alarm, failure for the Concern, anomaly for the Curiosity."""
    forgotten: bool = False
    """Levels: of the children over this voice's threshold one pane earlier, more were forgotten than recovered."""


_NO_CAUSE = Cause()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a subject's voices are decided from at one pane's end. Scores are rounded to 6 decimals."""

    subject: str
    pain: Unit
    chaos: Unit
    trust: Unit
    chaos_omega: Unit = 1.0
    well: bool = False
    """The level's own condition for a Celebration: trust > .7, or enough children are well."""
    origin: str = ""
    """Partition and offset of the first cause, for the episode's id; empty: the pane stands for it."""
    last_success: Instant | None = None
    alarm: Cause = _NO_CAUSE
    concern: Cause = _NO_CAUSE
    curiosity: Cause = _NO_CAUSE


@dataclass(frozen=True, slots=True)
class Hold:
    """What is known of one of Alarm, Concern and Curiosity."""

    run: int = 0
    """Pane ends in a row at which its raise condition was true."""
    since: Instant | None = None
    """Pane end since which it holds; None: it does not hold."""
    spoken: bool = False
    """Whether it has spoken since it holds."""
    episode_id: str = ""
    ceased: Instant | None = None
    """When it last ceased to hold."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the voices of a subject stand at one moment."""

    alarm: Hold = Hold()
    concern: Hold = Hold()
    curiosity: Hold = Hold()
    speaker: VoiceName | None = None
    claim: bool = False
    """An Alarm or Concern has spoken since the last Celebration."""
    hushed: Instant | None = None
    """When the last Alarm or Concern ceased to speak."""
    praise: int = 0
    """Pane ends in a row at which a Celebration was due."""
    celebrated: Instant | None = None


UNHEARD = Standing()
"""The standing of a subject that never said anything."""


@dataclass(frozen=True, slots=True)
class VoiceMemory:
    """What the voices of one subject remember."""

    now: Standing = UNHEARD
    """As told, Alarms spoken early included."""
    before: Standing = UNHEARD
    """Before the newest closed pane was decided."""


MUTE = VoiceMemory()
"""The memory of a subject that never said anything; most connections share it."""


class Saying(NamedTuple):
    """One thing to tell: the part of a voice record that the voices know."""

    delta: VoiceDelta
    voice: VoiceName
    window_end: Instant
    since: Instant
    episode_id: str
    previous_voice: VoiceName | None
    previous_episode_id: str | None
    reason: ClearReason | None
    also_held: tuple[VoiceName, ...]


class Spoken(NamedTuple):
    """The new memory and what is to be told, in order."""

    memory: VoiceMemory
    sayings: tuple[Saying, ...]


def voice_lambda(voice: VoiceName) -> str:
    """The next step a voice asks for."""
    return _LAMBDAS[voice]


def thresholds(rules: VoiceRules, level: Level) -> Thresholds:
    """The raise and clear levels that apply to this level, as a voice record states them."""
    return Thresholds(
        alarm_pain_above=rules.alarm_pain_above,
        alarm_clear_pain=rules.clear_pain(level),
        concern_trust_below=rules.concern_trust_below,
        concern_clear_trust=rules.concern_clear_trust,
        curiosity_chaos_above=rules.curiosity_chaos_above,
        curiosity_clear_chaos=rules.curiosity_clear_chaos,
        celebration_trust_above=rules.celebration_trust_above,
    )


def mostly_well(healthy: int, children: int, rules: VoiceRules) -> bool:
    """Whether enough of a level's children are well for its Celebration."""
    return children > 0 and healthy >= rules.celebration_share * children - 1e-9


def undisturbed(memory: VoiceMemory, pain: Unit, chaos: Unit, trust: Unit, rules: VoiceRules) -> bool:
    """Whether ``speak`` would change and say nothing: the cheap question asked of every quiet connection."""
    return (
        memory is MUTE
        and pain <= rules.alarm_pain_above
        and chaos <= rules.curiosity_chaos_above
        and trust >= rules.concern_trust_below
        and rules.celebration_requires_recovery
    )


def speak(memory: VoiceMemory, heard: Heard, rules: VoiceRules, level: Level, now: Instant) -> Spoken:
    """Decide the pane that ends at ``now``; panes are decided in order.

    Shape: at most one of raised, changed, cleared, held; behind it at most one celebrated.
    """
    old = memory.now
    new, celebrates = _decide(old, heard, rules, level, now)
    sayings = _told(old, new, heard, level, now, withdrawn=False)
    if not sayings and new.speaker is not None and level is not Level.CONNECTION:
        sayings = (_saying("voice_held", new.speaker, new, now),)
    if "forgotten" in [saying.reason for saying in sayings]:
        new = replace(new, claim=False, praise=0)
    if celebrates:
        sayings += (_celebration(heard, now),)
    return Spoken(_remember(new, old), sayings)


def speak_early(memory: VoiceMemory, heard: Heard, rules: VoiceRules, level: Level, open_end: Instant) -> Spoken:
    """Speak an Alarm that is certain before its pane, which ends at ``open_end``, closes (semantics.md 3.8)."""
    old = memory.now
    if not heard.pain > rules.alarm_pain_above or old.alarm.since is not None:
        return Spoken(memory, ())
    if not _may_begin(VoiceName.ALARM, old.alarm, old.speaker, rules, open_end):
        return Spoken(memory, ())
    new = _with_alarm(old, _begin(VoiceName.ALARM, old.alarm, heard, open_end))
    return Spoken(VoiceMemory(new, memory.before), _told(old, new, heard, level, open_end, withdrawn=False))


def speak_again(
    memory: VoiceMemory, heard: Heard, rules: VoiceRules, level: Level, now: Instant, *, withdrawn: bool = False
) -> Spoken:
    """Decide the newest closed pane, which ended at ``now``, again, because its scores were revised.

    Only a difference of the speaker is told; a Celebration is not taken back. ``withdrawn``: the revision took back
    an ``agent_silent``; a voice that ends by it ends with reason ``revised`` and is no claim to a Celebration.
    """
    told = memory.now
    new, celebrates = _decide(memory.before, heard, rules, level, now)
    early = told.alarm
    if early.since is not None and early.since > now and new.alarm.since is None:
        new = _with_alarm(new, early)
    new = _keep_episodes(new, told)
    if told.celebrated == now and not celebrates:
        new = replace(new, celebrated=now, claim=new.speaker in _GRAVE, praise=0)
    fresh = told.speaker is not None and _hold_of(memory.before, told.speaker).since is None
    sayings = _told(told, new, heard, level, now, withdrawn=withdrawn or fresh)
    if sayings and sayings[0].reason in ("revised", "forgotten"):
        keeps = sayings[0].reason == "revised" and memory.before.claim and not withdrawn
        new = replace(new, claim=keeps, praise=0)
    elif not sayings and new.speaker is None and memory.before.speaker is not None:
        # This pane's clear was told before, with its reason: a claim that it dropped does not come back.
        new = replace(new, claim=told.claim)
    if celebrates and told.celebrated != now:
        sayings += (_celebration(heard, now),)
    return Spoken(_remember(new, memory.before), sayings)


def forget(memory: VoiceMemory, now: Instant) -> tuple[Saying, ...]:
    """What is told when the subject is forgotten at this pane's end."""
    standing = memory.now
    if standing.speaker is None or early_alarm(memory, now) is not MUTE:
        return ()
    return (_cleared(standing, UNHEARD, "forgotten", now),)


def early_alarm(memory: VoiceMemory, now: Instant) -> VoiceMemory:
    """What outlives a subject that is forgotten at this pane's end: an Alarm spoken early in a later pane."""
    alarm = memory.now.alarm
    if alarm.since is None or alarm.since <= now:
        return MUTE
    return VoiceMemory(replace(UNHEARD, alarm=alarm, speaker=VoiceName.ALARM, claim=memory.now.claim), UNHEARD)


def dump_memory(memory: VoiceMemory) -> list[Any]:
    """The memory as plain lists, for the state record."""
    if memory.now is memory.before or memory.now == memory.before:
        return [_dump_standing(memory.now)]
    return [_dump_standing(memory.now), _dump_standing(memory.before)]


def load_memory(dumped: list[Any]) -> VoiceMemory:
    """The inverse of :func:`dump_memory`."""
    now = _load_standing(dumped[0])
    memory = VoiceMemory(now, _load_standing(dumped[1]) if len(dumped) > 1 else now)
    return MUTE if memory == MUTE else memory


def _decide(old: Standing, heard: Heard, rules: VoiceRules, level: Level, now: Instant) -> tuple[Standing, bool]:
    """The standing after one pane, and whether a Celebration is due."""
    doubtful = heard.chaos_omega < rules.curiosity_doubt_omega
    curious_after = rules.curiosity_doubtful_panes if doubtful else rules.curiosity_panes
    raised = {
        VoiceName.ALARM: heard.pain > rules.alarm_pain_above,
        VoiceName.CONCERN: heard.trust < rules.concern_trust_below,
        VoiceName.CURIOSITY: heard.chaos > rules.curiosity_chaos_above,
    }
    cleared = {
        VoiceName.ALARM: heard.pain <= rules.clear_pain(level),
        VoiceName.CONCERN: heard.trust >= rules.concern_clear_trust,
        VoiceName.CURIOSITY: heard.chaos <= rules.curiosity_clear_chaos,
    }
    needed = {VoiceName.ALARM: 1, VoiceName.CONCERN: rules.concern_panes, VoiceName.CURIOSITY: curious_after}
    holds: dict[VoiceName, Hold] = {}
    for voice in _HOLDING:
        hold = _hold_of(old, voice)
        run = min(hold.run + 1, needed[voice] + 1) if raised[voice] else 0
        if run != hold.run:
            hold = replace(hold, run=run)
        if hold.since is not None:
            # An Alarm spoken early for a later pane is asked to clear only when that pane closes.
            if cleared[voice] and hold.since <= now:
                hold = Hold(run=run, ceased=now)
        elif run >= needed[voice] and _may_begin(voice, hold, old.speaker, rules, now):
            hold = replace(_begin(voice, hold, heard, now), run=run)
        holds[voice] = hold
    speaker = None
    for voice in _HOLDING:
        if holds[voice].since is not None and (holds[voice].spoken or raised[voice]):
            speaker = voice
            if not holds[voice].spoken:
                holds[voice] = replace(holds[voice], spoken=True)
            break
    return _celebrate(old, holds, speaker, heard, rules, now)


def _celebrate(
    old: Standing,
    holds: dict[VoiceName, Hold],
    speaker: VoiceName | None,
    heard: Heard,
    rules: VoiceRules,
    now: Instant,
) -> tuple[Standing, bool]:
    claim = old.claim or speaker in _GRAVE
    hushed = now if old.speaker in _GRAVE and speaker not in _GRAVE else old.hushed
    due = (
        heard.well
        and speaker is None
        and all(hold.since is None for hold in holds.values())
        and (claim or not rules.celebration_requires_recovery)
        and (hushed is None or now - hushed >= rules.celebration_wait)
        and (old.celebrated is None or now - old.celebrated >= rules.celebration_wait)
    )
    praise = old.praise + 1 if due else 0
    celebrates = praise >= rules.celebration_panes
    return (
        Standing(
            alarm=holds[VoiceName.ALARM],
            concern=holds[VoiceName.CONCERN],
            curiosity=holds[VoiceName.CURIOSITY],
            speaker=speaker,
            claim=claim and not celebrates,
            hushed=hushed,
            praise=0 if celebrates else praise,
            celebrated=now if celebrates else old.celebrated,
        ),
        celebrates,
    )


def _may_begin(voice: VoiceName, hold: Hold, speaker: VoiceName | None, rules: VoiceRules, now: Instant) -> bool:
    """Whether the wait since the voice last ceased is over, or a voice of lower priority speaks."""
    if hold.ceased is None or now - hold.ceased >= _wait(voice, rules):
        return True
    return speaker is not None and _HOLDING.index(speaker) > _HOLDING.index(voice)


def _wait(voice: VoiceName, rules: VoiceRules) -> int:
    if voice is VoiceName.ALARM:
        return rules.alarm_wait
    return rules.concern_wait if voice is VoiceName.CONCERN else rules.curiosity_wait


def _begin(voice: VoiceName, hold: Hold, heard: Heard, now: Instant) -> Hold:
    episode_id = record_id("episode", heard.subject, voice.value, heard.origin, now)
    return Hold(run=hold.run, since=now, spoken=False, episode_id=episode_id, ceased=hold.ceased)


def _with_alarm(standing: Standing, alarm: Hold) -> Standing:
    """The standing with an Alarm that speaks out of turn."""
    return replace(standing, alarm=replace(alarm, spoken=True), speaker=VoiceName.ALARM, claim=True, praise=0)


def _keep_episodes(new: Standing, told: Standing) -> Standing:
    """A voice that was told to hold and still does keeps the episode and the beginning that were told."""
    changes: dict[str, Any] = {}
    for voice in _HOLDING:
        mine, theirs = _hold_of(new, voice), _hold_of(told, voice)
        if mine.since is not None and theirs.since is not None and mine.episode_id != theirs.episode_id:
            changes[voice.value.lower()] = replace(mine, since=theirs.since, episode_id=theirs.episode_id)
    return replace(new, **changes) if changes else new


def _told(
    old: Standing, new: Standing, heard: Heard, level: Level, now: Instant, *, withdrawn: bool
) -> tuple[Saying, ...]:
    """The difference of the speaker, if there is one."""
    if old.speaker is new.speaker:
        return ()
    if new.speaker is None:
        return (_cleared(old, new, "revised" if withdrawn else _reason(old, heard, level), now),)
    if old.speaker is None:
        return (_saying("voice_raised", new.speaker, new, now),)
    changed = _saying("voice_changed", new.speaker, new, now)
    previous = _hold_of(old, old.speaker)
    return (changed._replace(previous_voice=old.speaker, previous_episode_id=previous.episode_id),)


def _reason(old: Standing, heard: Heard, level: Level) -> ClearReason:
    cause = {VoiceName.ALARM: heard.alarm, VoiceName.CONCERN: heard.concern}.get(
        old.speaker or VoiceName.CURIOSITY, heard.curiosity
    )
    if cause.forgotten and level is not Level.CONNECTION:
        return "forgotten"
    if heard.last_success is not None and (cause.last is None or heard.last_success > cause.last):
        return "recovered"
    return "faded"


def _saying(delta: VoiceDelta, voice: VoiceName, standing: Standing, now: Instant) -> Saying:
    hold = _hold_of(standing, voice)
    since = now if hold.since is None else hold.since
    return Saying(delta, voice, now, since, hold.episode_id, None, None, None, _others(standing, voice))


def _cleared(old: Standing, new: Standing, reason: ClearReason, now: Instant) -> Saying:
    voice = old.speaker
    assert voice is not None  # only asked of a standing that speaks
    saying = _saying("voice_cleared", voice, old, now)
    return saying._replace(reason=reason, also_held=_others(new, voice))


def _celebration(heard: Heard, now: Instant) -> Saying:
    episode_id = record_id("episode", heard.subject, VoiceName.CELEBRATION.value, heard.origin, now)
    return Saying("voice_celebrated", VoiceName.CELEBRATION, now, now, episode_id, None, None, None, ())


def _others(standing: Standing, voice: VoiceName) -> tuple[VoiceName, ...]:
    return tuple(v for v in _HOLDING if v is not voice and _hold_of(standing, v).since is not None)


def _hold_of(standing: Standing, voice: VoiceName) -> Hold:
    if voice is VoiceName.ALARM:
        return standing.alarm
    return standing.concern if voice is VoiceName.CONCERN else standing.curiosity


def _remember(new: Standing, before: Standing) -> VoiceMemory:
    if new == before:
        return MUTE if new == UNHEARD else VoiceMemory(before, before)
    return VoiceMemory(new, before)


def _dump_standing(standing: Standing) -> list[Any]:
    return [
        *(
            [h.run, h.since, h.spoken, h.episode_id, h.ceased]
            for h in (standing.alarm, standing.concern, standing.curiosity)
        ),
        None if standing.speaker is None else standing.speaker.value,
        standing.claim,
        standing.hushed,
        standing.praise,
        standing.celebrated,
    ]


def _load_standing(dumped: list[Any]) -> Standing:
    alarm, concern, curiosity, speaker, claim, hushed, praise, celebrated = dumped
    return Standing(
        Hold(*alarm),
        Hold(*concern),
        Hold(*curiosity),
        None if speaker is None else VoiceName(speaker),
        claim,
        hushed,
        praise,
        celebrated,
    )
