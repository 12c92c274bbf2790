"""The dispatcher's reducer, per destination: what is sent next, what an answer means, what is no longer worth sending.

A call is announced in the state before it is made. After a restart the announced call has no answer: it may or may
not have arrived, and is handled as ambiguous. Source: alerts.md 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from schemas.types import Instant, Millis

from .buckets import (
    PAGERDUTY,
    SLACK_EDITS,
    SLACK_MESSAGE_EDIT_MS,
    SLACK_POSTS,
    UNLIMITED,
    Limit,
    free_at,
    taken,
)
from .retrying import BREAKER_MS, backoff, pause

__all__ = [
    "Answered",
    "Arrived",
    "AttemptMade",
    "Bury",
    "DestinationState",
    "Head",
    "Kind",
    "Known",
    "Pending",
    "Refusal",
    "SendEffect",
    "SendEvent",
    "Sending",
    "Settle",
    "Start",
    "Waiting",
    "Woke",
    "call_id",
    "recollected",
    "recovered",
    "step",
]

Kind: TypeAlias = Literal["slack", "pagerduty", "console"]
Refusal: TypeAlias = Literal["throttled", "transient", "ambiguous", "config", "payload", "unknown"]

_UNKNOWN_TRIES = 3
_KEEP_CLOSED_MS: Millis = 2 * 60 * 60_000
"""Longer than the router remembers an ended episode, so that its Celebration finds the message."""
_ATTEMPTS_KEPT = 20
_PAGERDUTY_FLOOR_MS: Millis = 30_000
_PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Pending:
    """What the order of sending needs of an intent."""

    notification_id: str
    group_episode: str
    dedup_key: str
    action: Literal["open", "update", "note", "resolve", "good", "odd"]
    severity: Literal["critical", "warning", "info"]
    sequence: int
    created: Instant


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One call and what became of it."""

    at: Instant
    outcome: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """An intent that is not settled."""

    intent: Pending
    body: str
    """The intent record's JSON."""
    order: int
    """Order of arrival at the destination."""
    tries: int = 0
    """Calls begun, of any outcome: makes call ids unique."""
    failures: int = 0
    unknowns: int = 0
    next_at: Instant = 0
    seen: bool = False
    """Whether the far side may have taken it already."""
    minimal: bool = False
    """To be sent as plain text: the far side refused the rich form."""
    attempts: tuple[AttemptMade, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the far side has of a group episode."""

    ids: Mapping[str, str] = field(default_factory=dict)
    edited_at: Instant = 0
    closed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """The one announced call."""

    notification_id: str
    tries: int
    at: Instant


@dataclass(frozen=True, slots=True)
class Head:
    """The small part of a destination's state, written at each call."""

    destination: str
    kind: Kind
    sending: Sending | None = None
    paused_until: Instant = 0
    throttles: int = 0
    """In a row."""
    broken_until: Instant = 0
    posts: Instant = 0
    edits: Instant = 0
    arrivals: int = 0


@dataclass(frozen=True, slots=True)
class DestinationState:
    """All about one destination. The mappings are never changed in place."""

    head: Head
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An intent was read."""

    intent: Pending
    body: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A call was answered."""

    call_id: str
    refused: Refusal | None
    """None: delivered."""
    ids: Mapping[str, str] = field(default_factory=dict)
    retry_after: str | None = None
    """The header as it came."""
    text: str = ""
    """What the far side said, redacted."""
    seen: bool = False
    """Of a transient refusal: whether the far side may have taken the message all the same."""
    body_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Woke:
    """Time went by."""


SendEvent: TypeAlias = Arrived | Answered | Woke


@dataclass(frozen=True, slots=True)
class Start:
    """Effect: make this call, once its announcement is committed."""

    call_id: str
    waiting: Waiting
    ids: Mapping[str, str]
    """What the far side knows the episode by."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Effect: the ledger record of an intent; its end."""

    intent: Pending
    outcome: Literal["delivered", "dropped", "superseded", "expired", "undeliverable", "dead"]
    reason: str
    attempts: tuple[AttemptMade, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    body_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """Effect: a dead letter."""

    waiting: Waiting
    reason: str
    answer: str


SendEffect: TypeAlias = Start | Settle | Bury


def call_id(notification_id: str, tries: int) -> str:
    """The id of one call: no two calls share one."""
    return f"{notification_id}:{tries}"


def recovered(state: DestinationState) -> DestinationState:
    """The state after a restart: an announced call has no answer, so nobody knows whether it arrived."""
    sending = state.head.sending
    if sending is None:
        return state
    waiting = dict(state.waiting)
    one = waiting[sending.notification_id]
    waiting[sending.notification_id] = replace(one, seen=True, attempts=_tried(one, sending.at, "ambiguous"))
    return replace(state, head=replace(state.head, sending=None), waiting=waiting)


def recollected(
    state: DestinationState, event: Arrived, *, delivered: tuple[Mapping[str, str], Instant] | None, settled: bool
) -> DestinationState:
    """Where an intent leads whose end is known, without any call: for a state that is rebuilt.

    Shape: ``delivered`` holds what the far side calls the message and when it took it; ``settled`` is true of any end.
        An intent without an end may have been sent, so it is handled as ambiguous.
    """
    intent, known = event.intent, state.known
    if delivered is not None:
        ids, at = delivered
        before = known.get(intent.group_episode, Known())
        known = {**known, intent.group_episode: _known_after(before, intent, ids, at)}
    waiting = state.waiting
    if not settled:
        waiting = {**waiting, intent.notification_id: Waiting(intent, event.body, state.head.arrivals, seen=True)}
    head = replace(state.head, arrivals=state.head.arrivals + 1)
    return replace(state, head=head, waiting=waiting, known=known)


def step(state: DestinationState, event: SendEvent, now: Instant) -> tuple[DestinationState, tuple[SendEffect, ...]]:
    """Fold one event, then start what is due."""
    effects: tuple[SendEffect, ...] = ()
    if isinstance(event, Arrived):
        state, effects = _arrive(state, event)
    elif isinstance(event, Answered):
        state, effects = _answer(state, event, now)
    elif any(known.closed_at is not None and now - known.closed_at > _KEEP_CLOSED_MS for known in state.known.values()):
        state = replace(state, known={name: known for name, known in state.known.items() if not _over(known, now)})
    state, dropped = _without_orphans(state)
    state, started = _start(state, now)
    return state, (*effects, *dropped, *started)


def _over(known: Known, now: Instant) -> bool:
    return known.closed_at is not None and now - known.closed_at > _KEEP_CLOSED_MS


def _arrive(state: DestinationState, event: Arrived) -> tuple[DestinationState, tuple[SendEffect, ...]]:
    intent = event.intent
    if intent.notification_id in state.waiting:
        return state, ()
    older = [one for one in state.waiting.values() if _same_incident(one.intent, intent) and not _flies(state, one)]
    gone: list[tuple[Waiting, str]] = []
    if intent.action == "resolve":
        untold = next((one for one in older if one.intent.action == "open" and not one.seen), None)
        if untold is not None:
            gone = [(one, "overtaken") for one in older]
            late = Waiting(intent, event.body, state.head.arrivals)
            return _without(state, [one for one, _ in gone]), _dropped([*gone, (late, "overtaken")])
        gone = [(one, "superseded") for one in older if one.intent.action in {"update", "note"} and not one.seen]
    elif intent.action in {"update", "note"}:
        gone = [(one, "superseded") for one in older if _replaces(intent, one)]
    state = _without(state, [one for one, _ in gone])
    waiting = {**state.waiting, intent.notification_id: Waiting(intent, event.body, state.head.arrivals)}
    head = replace(state.head, arrivals=state.head.arrivals + 1)
    return replace(state, head=head, waiting=waiting), _dropped(gone)


def _same_incident(one: Pending, other: Pending) -> bool:
    return one.group_episode == other.group_episode and one.dedup_key == other.dedup_key


def _flies(state: DestinationState, one: Waiting) -> bool:
    sending = state.head.sending
    return sending is not None and sending.notification_id == one.intent.notification_id


def _replaces(newer: Pending, older: Waiting) -> bool:
    """Whether the newer says all that the older would: an edit shows the newest numbers, a note edits as well."""
    if older.intent.action == "update":
        return True
    return older.intent.action == "note" and newer.action == "note" and not older.seen


def _without(state: DestinationState, gone: Iterable[Waiting]) -> DestinationState:
    names = {one.intent.notification_id for one in gone}
    if not names:
        return state
    return replace(state, waiting={name: one for name, one in state.waiting.items() if name not in names})


def _dropped(gone: Iterable[tuple[Waiting, str]]) -> tuple[SendEffect, ...]:
    return tuple(
        Settle(one.intent, "superseded" if reason == "superseded" else "dropped", reason, one.attempts)
        for one, reason in gone
    )


def _without_orphans(state: DestinationState) -> tuple[DestinationState, tuple[SendEffect, ...]]:
    """Without what refers to a message that was never made. PagerDuty takes a resolve of anything."""
    opening = {one.intent.group_episode for one in state.waiting.values() if one.intent.action in {"open", "odd"}}
    gone = [
        (one, "never_opened")
        for one in state.waiting.values()
        if one.intent.action not in {"open", "odd"}
        and one.intent.group_episode not in state.known
        and one.intent.group_episode not in opening
        and not (state.head.kind == "pagerduty" and one.intent.action == "resolve")
        and not _flies(state, one)
    ]
    return _without(state, [one for one, _ in gone]), _dropped(gone)


def _answer(state: DestinationState, event: Answered, now: Instant) -> tuple[DestinationState, tuple[SendEffect, ...]]:
    head, sending = state.head, state.head.sending
    if sending is None or event.call_id != call_id(sending.notification_id, sending.tries):
        return state, ()
    one = state.waiting[sending.notification_id]
    one = replace(one, attempts=_tried(one, now, event.refused or "ok"))
    head = replace(head, sending=None)
    if event.refused is None:
        head = replace(head, throttles=0, broken_until=0)
        known = _known_after(state.known.get(one.intent.group_episode, Known()), one.intent, event.ids, now)
        state = replace(_without(state, [one]), head=head, known={**state.known, one.intent.group_episode: known})
        return state, (Settle(one.intent, "delivered", "ok", one.attempts, dict(known.ids), event.body_sha256),)
    if event.refused == _PAYLOAD and one.minimal:
        state = replace(_without(state, [one]), head=head)
        return state, (Bury(one, _PAYLOAD, event.text), Settle(one.intent, "dead", _PAYLOAD, one.attempts))
    head, one = _refused(head, one, event, now)
    return replace(state, head=head, waiting={**state.waiting, one.intent.notification_id: one}), ()


def _known_after(known: Known, intent: Pending, ids: Mapping[str, str], now: Instant) -> Known:
    known = replace(known, ids={**known.ids, **ids}, edited_at=now)
    if intent.action == "open":
        return replace(known, closed_at=None)
    return replace(known, closed_at=now) if intent.action in {"resolve", "odd"} else known


def _refused(head: Head, one: Waiting, event: Answered, now: Instant) -> tuple[Head, Waiting]:
    """What a refusal means for the destination and for the intent."""
    seed = one.intent.notification_id
    if event.refused == "throttled":
        throttles = head.throttles + 1
        floor = _PAGERDUTY_FLOOR_MS if head.kind == "pagerduty" else 1_000
        rest = pause(event.retry_after, now, seed=seed, attempt=throttles, floor_ms=floor)
        return replace(head, throttles=throttles, paused_until=now + rest), one
    if event.refused == _PAYLOAD:
        return head, replace(one, minimal=True)
    if event.refused == "config" or (event.refused == "unknown" and one.unknowns + 1 >= _UNKNOWN_TRIES):
        return replace(head, broken_until=now + BREAKER_MS), replace(one, unknowns=0)
    failures = one.failures + 1
    one = replace(
        one,
        failures=failures,
        unknowns=one.unknowns + (event.refused == "unknown"),
        next_at=now + backoff(seed, failures),
        seen=one.seen or event.seen or event.refused == "ambiguous",
    )
    return head, one


def _tried(one: Waiting, at: Instant, outcome: str) -> tuple[AttemptMade, ...]:
    return (*one.attempts, AttemptMade(at, outcome))[-_ATTEMPTS_KEPT:]


def _start(state: DestinationState, now: Instant) -> tuple[DestinationState, tuple[SendEffect, ...]]:
    head = state.head
    if head.sending is not None or not state.waiting or now < max(head.paused_until, head.broken_until):
        return state, ()
    heads: dict[str, Waiting] = {}
    for one in state.waiting.values():
        first = heads.get(one.intent.group_episode)
        if first is None or one.intent.sequence < first.intent.sequence:
            heads[one.intent.group_episode] = one
    due = [one for one in heads.values() if now >= _due_at(state, one)]
    if not due:
        return state, ()
    one = min(due, key=lambda item: (_rank(item.intent), item.order))
    one = replace(one, tries=one.tries + 1)
    name = one.intent.notification_id
    limit = _limit(head.kind, one.intent.action)
    mark = {_bucket(head.kind, one.intent.action): taken(_mark(head, one.intent.action), limit, now)}
    head = replace(
        head,
        sending=Sending(name, one.tries, now),
        posts=mark.get("posts", head.posts),
        edits=mark.get("edits", head.edits),
    )
    known = state.known.get(one.intent.group_episode, Known())
    start = Start(call_id(name, one.tries), one, dict(known.ids))
    return replace(state, head=head, waiting={**state.waiting, name: one}), (start,)


def _rank(intent: Pending) -> int:
    """Between episodes: Alarms and resolves first, then opens, notes, updates, good news, oddities."""
    if intent.action == "resolve" or (intent.action == "open" and intent.severity == "critical"):
        return 0
    return ("open", "note", "update", "good", "odd").index(intent.action) + 1


def _bucket(kind: Kind, action: str) -> str:
    return "edits" if kind == "slack" and action in {"update", "resolve"} else "posts"


def _mark(head: Head, action: str) -> Instant:
    return head.edits if _bucket(head.kind, action) == "edits" else head.posts


def _limit(kind: Kind, action: str) -> Limit:
    if kind == "slack":
        return SLACK_EDITS if _bucket(kind, action) == "edits" else SLACK_POSTS
    return PAGERDUTY if kind == "pagerduty" else UNLIMITED


def _due_at(state: DestinationState, one: Waiting) -> Instant:
    head, action = state.head, one.intent.action
    due = max(one.next_at, free_at(_mark(head, action), _limit(head.kind, action)))
    known = state.known.get(one.intent.group_episode)
    if head.kind == "slack" and action == "update" and known is not None:
        due = max(due, known.edited_at + SLACK_MESSAGE_EDIT_MS)
    return due
