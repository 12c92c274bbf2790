"""The router's reducer: state and one record of the routing log in, state and effects out.

The order is always: what happened to the alerts, which groups they are in, what each receiver is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from schemas.types import Instant, Level, Millis, VoiceName

from .alerts import Alert, AlertState, alert_key, change, cleared, held, is_repeat, raised, subject_of, ticked
from .grouping import Group, Line, dedup_key, notification_id, placed
from .inhibiting import is_muted, muted, settle_ms
from .model import (
    LOUDNESS,
    SEVERITY,
    AlertRules,
    Change,
    Decide,
    Effect,
    Heard,
    Intend,
    Judged,
    Receiver,
    Record,
    Route,
    VoiceFacts,
)
from .notifying import Gate, Reason, Told, Verdict, View, why_notify

__all__ = ["Plan", "RoutingState", "outcome_of", "step", "stopped_at_the_door"]

_Action: TypeAlias = Literal["open", "update", "note", "resolve", "good", "odd"]

_ACTIONS: dict[Reason, _Action] = {
    Reason.FIRST: "open",
    Reason.INHIBITOR_GONE: "open",
    Reason.NEW_ALERTS: "update",
    Reason.CHANGED: "update",
    Reason.SOME_RESOLVED: "update",
    Reason.ALL_RESOLVED: "resolve",
    Reason.ESCALATED: "note",
    Reason.REPEAT: "note",
    Reason.FLAPPING: "note",
    Reason.FLAP_ENDED: "note",
    Reason.STALE: "note",
    Reason.STALE_ENDED: "note",
    Reason.CELEBRATED: "good",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What does not change while a router runs."""

    rules: AlertRules
    routes: tuple[Route, ...]

    def route(self, name: str) -> Route | None:
        """The route of this name; None if the plan a group was opened under had other routes."""
        return next((route for route in self.routes if route.name == name), None)


@dataclass(frozen=True, slots=True)
class RoutingState:
    """All that the router remembers. The mappings are never changed in place."""

    now: Instant = 0
    """Highest append time so far."""
    ticks: int = 0
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)


def step(state: RoutingState, record: Record, now: Instant, plan: Plan) -> tuple[RoutingState, tuple[Effect, ...]]:
    """Fold one record. A clock that goes back stands still."""
    state = replace(state, now=max(state.now, now))
    if isinstance(record, Heard):
        return _hear(state, record.voice, plan)
    return _tick(replace(state, ticks=state.ticks + 1), plan)


def outcome_of(effects: Iterable[Effect], record: Record) -> str:
    """What became of a record, for the conservation count: one of a closed set."""
    if not isinstance(record, Heard):
        return "tick"
    for effect in effects:
        if isinstance(effect, Decide) and effect.gate in {Gate.EXPERIMENT, Gate.LEVEL, Gate.NO_ROUTE, Gate.REPEATED}:
            return str(effect.gate)
    return "held" if record.voice.delta == "voice_held" else "heard"


def stopped_at_the_door(facts: VoiceFacts, rules: AlertRules) -> Decide | None:
    """The decision on a record that can reach nobody: of an experiment, or of a level that does not reach people.

    Asked by intake already: when thousands of links fail at once, their seam's voice must not wait behind them.
    """
    if facts.experiment_id is not None:
        return _gated(facts, Gate.EXPERIMENT)
    return None if facts.level in rules.levels else _gated(facts, Gate.LEVEL)


def _hear(state: RoutingState, facts: VoiceFacts, plan: Plan) -> tuple[RoutingState, tuple[Effect, ...]]:
    stopped = stopped_at_the_door(facts, plan.rules)
    if stopped is not None:
        return state, (stopped,)
    if facts.delta == "voice_celebrated":
        return _celebrate(state, facts, plan)
    key = alert_key(facts.voice, facts.subject)
    before = state.alerts.get(key)
    if is_repeat(before, facts):
        return state, (_gated(facts, Gate.REPEATED),)
    if facts.delta == "voice_cleared" and (before is None or not before.open):
        return state, (_gated(facts, Gate.NO_RAISE),)
    alerts, changes = _alerts_after(state, before, facts, plan.rules)
    state = replace(state, alerts=alerts)
    after = alerts[key]
    groups = dict(state.groups)
    routed = False
    if after.open:
        for route in plan.routes:
            if facts.voice in route.voices:
                group = placed(groups, after, route, state.now, plan.rules)
                groups[group.id] = group
                routed = True
    state = replace(state, groups=groups)
    verdicts: tuple[Judged, ...] = ()
    intents: tuple[Intend, ...] = ()
    # Connections come in thousands and wait for their seam anyway: their groups are judged at the next tick.
    if facts.level is not Level.CONNECTION:
        state, verdicts, intents = _judge(state, plan)
    gate = Gate.NO_ROUTE if after.open and not routed else None
    if not (changes or verdicts or (gate and facts.delta != "voice_held")):
        return state, ()
    decision = replace(_gated(facts, gate), transitions=changes, verdicts=verdicts)
    return state, (decision, *intents)


def _alerts_after(
    state: RoutingState, before: Alert | None, facts: VoiceFacts, rules: AlertRules
) -> tuple[dict[str, Alert], tuple[Change, ...]]:
    """The alerts after this record, and what changed: a change of voice ends the old one and begins the new one."""
    alerts = dict(state.alerts)
    changes: list[Change | None] = []
    cause: str = facts.delta
    if facts.delta == "voice_cleared" and before is not None:
        after = cleared(before, facts, state.now, state.ticks)
        cause = facts.reason or cause
    elif facts.delta == "voice_held" and before is not None and before.open:
        after = held(before, facts, state.ticks)
    else:
        for voice in LOUDNESS:
            other = alerts.get(alert_key(voice, facts.subject))
            if voice is not facts.voice and other is not None and other.open:
                ended = cleared(other, _end_of(other.facts, facts), state.now, state.ticks)
                alerts[alert_key(voice, facts.subject)] = ended
                changes.append(change(other, ended, "changed"))
        after = raised(before, facts, state.now, state.ticks, rules)
        cause = "adopted" if facts.delta == "voice_held" else cause
    alerts[alert_key(facts.voice, facts.subject)] = after
    changes.append(change(before, after, cause))
    return alerts, tuple(item for item in changes if item is not None)


def _end_of(old: VoiceFacts, new: VoiceFacts) -> VoiceFacts:
    """The clear that a change of voice means for the old voice: the new numbers, under the old name."""
    return replace(
        new,
        delta="voice_cleared",
        voice=old.voice,
        lambda_=old.lambda_,
        threshold=old.threshold,
        since=old.since,
        episode_id=old.episode_id,
        reason="changed",
    )


def _tick(state: RoutingState, plan: Plan) -> tuple[RoutingState, tuple[Effect, ...]]:
    alerts: dict[str, Alert] = dict(state.alerts)
    effects: list[Effect] = []
    for key, alert in sorted(state.alerts.items()):
        after, cause = ticked(alert, state.now, state.ticks, plan.rules)
        if after is alert:
            continue
        if after is None:
            del alerts[key]
            continue
        alerts[key] = after
        moved = Change(alert.subject, alert.voice, alert.state.value, after.state.value, cause)
        effects.append(replace(_gated(alert.facts, None, trigger="tick"), transitions=(moved,)))
    groups = {
        name: group
        for name, group in state.groups.items()
        if group.ended_at is None or state.now - group.ended_at <= plan.rules.keep_resolved_ms
    }
    state = replace(state, alerts=alerts, groups=groups)
    state, verdicts, intents = _judge(state, plan)
    for judged in verdicts:
        lead = state.alerts.get(_lead_member(state, judged.group_episode))
        if lead is not None:
            effects.append(replace(_gated(lead.facts, None, trigger="tick"), verdicts=(judged,)))
    return state, (*effects, *intents)


def _lead_member(state: RoutingState, episode: str) -> str:
    group = state.groups.get(episode)
    return "" if group is None else group.members[0]


def _gated(facts: VoiceFacts, gate: Gate | None, trigger: str | None = None) -> Decide:
    return Decide(
        subject=facts.subject,
        level=facts.level,
        voice=facts.voice,
        trigger=trigger or facts.delta,
        gate=None if gate is None else gate.value,
        episode_id=facts.episode_id,
        experiment_id=facts.experiment_id,
    )


def _judge(state: RoutingState, plan: Plan) -> tuple[RoutingState, tuple[Judged, ...], tuple[Intend, ...]]:
    """Ask for each living group and each of its receivers whether to speak."""
    state = replace(state, alerts=muted(state.alerts, state.now))
    groups = dict(state.groups)
    verdicts: list[Judged] = []
    intents: list[Intend] = []
    # In an order that does not depend on what was restored from where.
    for group in sorted(state.groups.values(), key=lambda one: (one.opened_at, one.route, one.id)):
        route = plan.route(group.route)
        if group.ended_at is not None or route is None:
            continue
        after, judged, said = _judge_group(state, group, route, plan.rules)
        verdicts.extend(judged)
        intents.extend(said)
        if after.ended_at is not None and all(line.told is None for line in after.lines):
            del groups[group.id]
        else:
            groups[group.id] = after
    return replace(state, groups=groups), tuple(verdicts), tuple(intents)


def _judge_group(
    state: RoutingState, group: Group, route: Route, rules: AlertRules
) -> tuple[Group, list[Judged], list[Intend]]:
    members = [alert for key in group.members if (alert := state.alerts.get(key)) is not None]
    standing = [alert for alert in members if alert.open]
    firing = [alert for alert in standing if not is_muted(alert, state.now, rules)]
    mute = next((alert.muted_by for alert in standing if alert.muted_by is not None), None)
    last = standing or members
    lead = max(firing or last, key=_weight) if (firing or last) else None
    if not standing:
        lead = max(members, key=lambda alert: (alert.ended_at or 0, *_weight(alert)), default=None)
    if lead is None:
        return replace(group, ended_at=state.now), [], []
    if not standing:
        group = replace(group, ended_at=state.now, duration=_duration(group, lead, state.now))
    scene = _Scene(group, route, rules, tuple(standing), tuple(firing), lead, mute, state.now)
    lines: list[Line] = []
    judged: list[Judged] = []
    intents: list[Intend] = []
    for line, receiver in zip(group.lines, _receivers(group, route), strict=True):
        after, verdict, said = _judge_line(line, receiver, scene)
        lines.append(after)
        intents.extend(said)
        if said or after.gate != line.gate:
            judged.append(_judged(verdict, group, receiver, said))
    return replace(group, lines=tuple(lines)), judged, intents


@dataclass(frozen=True, slots=True)
class _Scene:
    """A group as it stands now, the same for all its receivers."""

    group: Group
    route: Route
    rules: AlertRules
    standing: tuple[Alert, ...]
    firing: tuple[Alert, ...]
    lead: Alert
    mute: str | None
    now: Instant


def _receivers(group: Group, route: Route) -> tuple[Receiver, ...]:
    """The receivers of the group's lines, by name; a receiver that is gone keeps its line and hears nothing."""
    known = {receiver.name: receiver for receiver in route.receivers}
    return tuple(known.get(line.receiver, Receiver(line.receiver, "console", "")) for line in group.lines)


def _weight(alert: Alert) -> tuple[int, float, str]:
    return LOUDNESS[alert.voice], alert.facts.pain, alert.subject


def _duration(group: Group, lead: Alert, now: Instant) -> Millis:
    """How long it lasted by the panes; by the router's clock if it began and ended in one pane."""
    by_panes = lead.facts.window_end - group.since
    return by_panes if by_panes > 0 else max(0, now - group.opened_at)


def _judge_line(line: Line, receiver: Receiver, scene: _Scene) -> tuple[Line, Verdict, tuple[Intend, ...]]:
    now = scene.now
    voice = max((alert.voice for alert in scene.firing), key=LOUDNESS.__getitem__, default=None)
    timing = scene.rules.timing(voice or scene.lead.voice)
    settle = min((settle_ms(alert.level, scene.rules) for alert in scene.firing), default=0)
    view = View(
        opened_at=scene.group.opened_at,
        wait_ms=max(timing.group_wait_ms, settle),
        was_muted=line.gate == Gate.INHIBITED.value,
        firing=tuple(sorted(alert_key(alert.voice, alert.subject) for alert in scene.firing)),
        open=len(scene.standing),
        voice=voice,
        flapping=any(alert.state is AlertState.FLAPPING for alert in scene.firing),
        stale=any(alert.state is AlertState.STALE for alert in scene.firing),
        numbers=scene.lead.facts.id,
        takes_notes=receiver.takes_notes,
        muted_by=scene.mute,
    )
    verdict = why_notify(line.told, view, timing, now)
    if verdict.reason is Reason.NONE:
        # Having nothing to say is no hold.
        gate = "" if verdict.gate is Gate.NOTHING_NEW else str(verdict.gate)
        return (line if gate == line.gate else replace(line, gate=gate)), verdict, ()
    line, said = _say(line, receiver, scene, view, verdict.reason)
    return line, verdict, said


def _say(line: Line, receiver: Receiver, scene: _Scene, view: View, reason: Reason) -> tuple[Line, tuple[Intend, ...]]:
    """The intents for one reason, and what the receiver knows afterwards."""
    action = _ACTIONS[reason]
    if line.told is None:
        action = "open"
    elif view.open == 0:
        action = "resolve"
    voice = view.voice or line.told.voice if line.told is not None else scene.lead.voice
    pages_anew = line.told is not None and reason is Reason.ESCALATED and not receiver.takes_notes
    if line.key_voice is None:
        line = replace(line, key_voice=voice)
    said: list[Intend] = []
    if pages_anew:
        # An edit pages nobody: the louder voice opens a key of its own, then the old one is closed.
        old = line
        line = replace(line, key_voice=voice)
        line, opened = _intend(line, receiver, scene, view, reason, "open")
        line, closed = _intend(replace(line, key_voice=old.key_voice), receiver, scene, view, reason, "resolve")
        line = replace(line, key_voice=voice)
        said = [opened, closed]
    else:
        line, one = _intend(line, receiver, scene, view, reason, action)
        said = [one]
    loud = action in {"open", "note", "resolve"}
    told = Told(
        voice=voice,
        firing=view.firing,
        at=scene.now,
        loud_at=scene.now if loud or line.told is None else line.told.loud_at,
        flapping=view.flapping,
        stale=view.stale,
        numbers=view.numbers,
    )
    return replace(line, told=told, gate=""), tuple(said)


def _intend(
    line: Line, receiver: Receiver, scene: _Scene, view: View, reason: Reason, action: _Action
) -> tuple[Line, Intend]:
    group, sequence = scene.group, line.sequence + 1
    voice = line.key_voice or scene.lead.voice
    return replace(line, sequence=sequence), Intend(
        notification_id=notification_id(group.id, receiver.name, sequence, action),
        destination=receiver.destination,
        kind=receiver.kind,
        action=action,
        why=reason.value,
        route=group.route,
        group_episode=group.id,
        dedup_key=dedup_key(group.id, voice),
        sequence=sequence,
        severity=SEVERITY[scene.lead.voice],
        created=scene.now,
        voice=scene.lead.facts,
        told_voice=None if line.told is None else line.told.voice,
        since=group.since,
        duration=group.duration,
        peak_pain=group.peak_pain,
        firing=len(scene.firing),
        muted=len(scene.standing) - len(scene.firing),
        subjects=tuple(sorted({subject_of(key) for key in view.firing})[:10]),
        flapping=view.flapping,
        stale=view.stale,
    )


def _judged(verdict: Verdict, group: Group, receiver: Receiver, said: tuple[Intend, ...]) -> Judged:
    return Judged(
        route=group.route,
        receiver=receiver.name,
        group_episode=group.id,
        why_notify=verdict.reason.value,
        gate=None if verdict.gate is None else verdict.gate.value,
        notification_ids=tuple(intend.notification_id for intend in said),
        flips_at=verdict.flips_at,
        flips_when=verdict.flips_when,
    )


def _celebrate(state: RoutingState, facts: VoiceFacts, plan: Plan) -> tuple[RoutingState, tuple[Effect, ...]]:
    """A Celebration goes to those who were told of the trouble, once per group episode."""
    groups = dict(state.groups)
    judged: list[Judged] = []
    intents: list[Intend] = []
    for route in plan.routes:
        group = _ended_with(state.groups.values(), route, facts.subject)
        if group is None:
            continue
        lines = []
        for line, receiver in zip(group.lines, _receivers(group, route), strict=True):
            gate = _celebration_gate(group, line, receiver)
            if gate is not None:
                lines.append(line)
                judged.append(_judged(Verdict(Reason.NONE, gate), group, receiver, ()))
                continue
            celebrant = Alert(
                subject=facts.subject,
                voice=VoiceName.CELEBRATION,
                level=facts.level,
                state=AlertState.RESOLVED,
                since=facts.since,
                raised_at=state.now,
                facts=facts,
                heard_tick=state.ticks,
            )
            scene = _Scene(group, route, plan.rules, (), (), celebrant, None, state.now)
            view = View(
                opened_at=group.opened_at,
                wait_ms=0,
                was_muted=False,
                firing=(),
                open=0,
                voice=None,
                flapping=False,
                stale=False,
                numbers=facts.id,
                takes_notes=receiver.takes_notes,
            )
            after, intend = _intend(line, receiver, scene, view, Reason.CELEBRATED, "good")
            lines.append(after)
            intents.append(intend)
            judged.append(_judged(Verdict(Reason.CELEBRATED), group, receiver, (intend,)))
        groups[group.id] = replace(group, lines=tuple(lines), celebrated=True)
    gate = None if judged else Gate.NO_ENDED_EPISODE
    decision = replace(_gated(facts, gate), verdicts=tuple(judged))
    return replace(state, groups=groups), (decision, *intents)


def _ended_with(groups: Iterable[Group], route: Route, subject: str) -> Group | None:
    """The last ended group of the route that this subject was in."""
    ended = [
        group
        for group in groups
        if group.ended_at is not None
        and group.route == route.name
        and any(subject_of(member) == subject for member in group.members)
    ]
    return max(ended, key=lambda group: (group.ended_at or 0, group.id), default=None)


def _celebration_gate(group: Group, line: Line, receiver: Receiver) -> Gate | None:
    if line.told is None:
        return Gate.NEVER_TOLD
    if group.celebrated:
        return Gate.ALREADY_CELEBRATED
    return None if receiver.takes_notes else Gate.NOT_THIS_KIND
