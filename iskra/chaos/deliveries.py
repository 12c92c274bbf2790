"""I6, I7, I9 and the outward half of I8: intents, the ledger of notifications, and what people were really told.

Slack posts name their notification in their metadata, PagerDuty events in their details and by their dedup key.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from schemas.decisions import DecisionRecord
from schemas.ids import record_id
from schemas.intents import IntentRecord, parse_intent
from schemas.ledger import LedgerRecord
from schemas.topics import ALERTS, EVENTS_LATE, EVENTS_REJECTED, INTENTS, NOTIFICATIONS, ROUTING, VOICES
from schemas.types import Instant

from .evidence import Evidence, content
from .judging import Finding, Judgement, Place
from .ledger import Received
from .states import States

__all__ = ["Delivery", "completeness", "deliveries_of", "extra_deliveries", "lifecycle", "soundness"]

_OUTSIDE = ("slack", "pagerduty")
_LEDGER_SLACK = 250
"""Milliseconds between a sink's own clock reading and the ledger's, on one host."""
_EFFECTS = 64
"""Effects of one routing record among which its decision is looked for."""
_POST = "chat.postMessage"
_PAGE = "v2/enqueue"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that a receiver took."""

    at: Instant
    endpoint: str
    notification_id: str
    """Empty where the request does not say: a PagerDuty resolve, a message in its plainest form."""
    dedup_key: str
    action: str
    """PagerDuty: ``trigger``, ``resolve``; else empty."""
    threaded: bool
    details: Mapping[str, Any]


@dataclass(frozen=True)
class _Told:
    """What the log and the receivers have on deliveries; parsed once per invariant."""

    evidence: Evidence

    @cached_property
    def intents(self) -> dict[str, tuple[Place, IntentRecord]]:
        """By notification id."""
        found: dict[str, tuple[Place, IntentRecord]] = {}
        for place, record in self.evidence.records(INTENTS):
            intent = parse_intent(record.value)
            if intent is not None:
                found.setdefault(intent.notification_id, (place, intent))
        return found

    @cached_property
    def outcomes(self) -> dict[str, tuple[Place, LedgerRecord]]:
        """The first ledger record of each notification."""
        found: dict[str, tuple[Place, LedgerRecord]] = {}
        for place, record in self.evidence.records(NOTIFICATIONS):
            try:
                entry = LedgerRecord.model_validate_json(record.value or b"")
            except ValidationError:
                continue
            found.setdefault(entry.notification_id, (place, entry))
        return found

    @cached_property
    def decisions(self) -> list[tuple[Place, DecisionRecord]]:
        """In the order of the routing log."""
        found: list[tuple[Place, DecisionRecord]] = []
        for place, record in self.evidence.records(ALERTS):
            try:
                found.append((place, DecisionRecord.model_validate_json(record.value or b"")))
            except ValidationError:
                continue
        return sorted(found, key=lambda one: (one[1].at, one[1].position, one[0]))

    @cached_property
    def deliveries(self) -> list[Delivery]:
        return deliveries_of(self.evidence.received)


def deliveries_of(received: Sequence[Received]) -> list[Delivery]:
    """The requests that took effect, a cut after the effect included."""
    found: list[Delivery] = []
    for one in received:
        if one.endpoint not in (_POST, "chat.update", _PAGE, "v2/change/enqueue"):
            continue
        accepted = one.answer.get("ok") is True or one.answer.get("status") == "success"
        if not accepted or one.answer.get("scripted") or one.status not in (0, 200, 202):
            continue
        payload = one.request.get("payload")
        details = payload.get("custom_details") if isinstance(payload, Mapping) else None
        facts: Mapping[str, Any] = details if isinstance(details, Mapping) else _metadata(one.request)
        found.append(
            Delivery(
                at=int(one.at * 1_000),
                endpoint=one.endpoint,
                notification_id=str(facts.get("notification_id", "")),
                dedup_key=str(one.request.get("dedup_key", "")),
                action=str(one.request.get("event_action", "")),
                threaded=one.request.get("thread_ts") is not None,
                details=facts,
            )
        )
    return found


def _metadata(request: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = request.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            return {}
    payload = metadata.get("event_payload") if isinstance(metadata, Mapping) else None
    return payload if isinstance(payload, Mapping) else {}


# ------------------------------------------------------------------------------------------------ I6: completeness


def completeness(evidence: Evidence, states: States) -> Judgement:
    """Whether each decision to tell somebody ended in time: in a delivery that was really taken, or in a reason."""
    told = _Told(evidence)
    outside = bool(evidence.received)
    findings = [*_decided(told, states), *_announced(told)]
    for name in told.intents:
        findings += _ended(told, name, outside=outside)
    delivered = sum(entry.outcome == "delivered" for _, entry in told.outcomes.values())
    doubts: list[str] = []
    if not told.intents:
        doubts.append("nothing was decided to be told")
    elif not outside:
        doubts.append("nothing was recorded of what the receivers took")
    return Judgement(tuple(findings), tuple(doubts), {"decisions": len(told.decisions), "delivered": delivered})


def _decided(told: _Told, states: States) -> Iterator[Finding]:
    """Every voice has a decision: at intake, or in the router once it is in the routing log. One that only goes on
    holding changes nothing there and needs none.
    """
    known = {decision.id for _, decision in told.decisions}
    routed: set[str] = set()
    for place, record in told.evidence.records(ROUTING):
        voice = (content(record) or {}).get("voice")
        if not isinstance(voice, Mapping):
            continue
        routed.add(str(voice.get("id", "")))
        passed = place.offset < states.position(ROUTING, place.partition)
        ids = (record_id("decision", ROUTING, place.offset, index) for index in range(_EFFECTS))
        if passed and voice.get("delta") != "voice_held" and known.isdisjoint(ids):
            yield Finding(f"nobody decided on {voice.get('delta')} of {voice.get('subject')}", place)
    for place, record in told.evidence.records(VOICES):
        said = content(record) or {}
        stopped = record_id("decision", f"{VOICES}/{place.partition}", place.offset, 0)
        passed = place.offset < states.position(VOICES, place.partition)
        if passed and str(said.get("id", "")) not in routed and stopped not in known:
            yield Finding(f"{said.get('delta')} of {said.get('subject')} is neither routed nor decided on", place)


def _announced(told: _Told) -> Iterator[Finding]:
    """Every notification that a decision names has its intent."""
    for place, decision in told.decisions:
        for verdict in decision.verdicts:
            for name in verdict.notification_ids:
                if name not in told.intents:
                    yield Finding(f"decided to tell {verdict.receiver} ({name}), and there is no intent", place)


def _ended(told: _Told, name: str, *, outside: bool) -> Iterator[Finding]:
    place, intent = told.intents[name]
    limit = told.evidence.run.limits.delivery
    if name not in told.outcomes:
        if intent.created + limit < told.evidence.run.ended:
            yield Finding(f"{name} to {intent.destination} has no outcome after {limit // 1_000} s", place)
        return
    _, entry = told.outcomes[name]
    if entry.finished > intent.created + limit:
        yield Finding(f"{name} to {intent.destination} ended {entry.finished - intent.created} ms late", place)
    if entry.outcome != "delivered":
        if not entry.reason:
            yield Finding(f"{name} was {entry.outcome} without a reason", place)
        return
    if not outside or intent.kind not in _OUTSIDE:
        return
    taken = [one for one in told.deliveries if _is_of(one, intent)]
    if not taken:
        yield Finding(f"{name} counts as delivered, {intent.destination} has taken nothing of it", place)
    elif min(one.at for one in taken) > entry.finished + _LEDGER_SLACK:
        yield Finding(f"{name} counted as delivered before {intent.destination} had taken it", place)


def _is_of(delivery: Delivery, intent: IntentRecord) -> bool:
    """Whether a request tells this intent, as far as the request says."""
    if intent.kind == "slack":
        return delivery.notification_id == intent.notification_id and delivery.endpoint.startswith("chat.")
    if delivery.endpoint == "v2/change/enqueue":
        return delivery.notification_id in ("", intent.notification_id) and intent.action in ("good", "odd")
    if delivery.endpoint != _PAGE or delivery.dedup_key != intent.dedup_key:
        return False
    wanted = "resolve" if intent.action == "resolve" else "trigger"
    return delivery.action == wanted and delivery.notification_id in ("", intent.notification_id)


# --------------------------------------------------------------------------------------------------- I7: soundness


def soundness(evidence: Evidence, states: States) -> Judgement:
    """Whether everything told goes back to one voice, with its numbers, and no voice to what does not count."""
    told = _Told(evidence)
    voices = {str(value.get("id", "")): value for _, record in evidence.records(VOICES) if (value := content(record))}
    findings = [*_grounds(evidence), *_strangers(told)]
    whole = _is_whole(evidence, VOICES)
    named = {name for _, one in told.decisions for verdict in one.verdicts for name in verdict.notification_ids}
    for place, intent in told.intents.values():
        if intent.notification_id not in named and _is_whole(evidence, ALERTS) and evidence.partitions(ALERTS):
            findings.append(Finding(f"{intent.notification_id} is of no decision", place))
        voice = voices.get(intent.voice.id)
        if voice is None:
            if whole and evidence.partitions(VOICES):
                findings.append(Finding(f"tells voice {intent.voice.id}, which nobody spoke", place))
            continue
        said = voice.get("fractal_metadata") or {}
        numbers = tuple(said.get(f"voice_{name}") for name in ("pain", "chaos", "trust"))
        if numbers != (intent.voice.pain, intent.voice.chaos, intent.voice.trust):
            findings.append(Finding(f"tells other numbers than voice {intent.voice.id}", place))
        if voice.get("experiment_id") is not None:
            findings.append(Finding(f"tells of experiment {voice['experiment_id']}", place))
    return Judgement(tuple(findings))


def _is_whole(evidence: Evidence, topic: str) -> bool:
    """Whether a topic was read from its very first record, so that what is not there was never there."""
    return not evidence.since and not any(evidence.begin(topic, number) for number in evidence.partitions(topic))


def _grounds(evidence: Evidence) -> Iterator[Finding]:
    """No voice is explained by an event that was rejected or late."""
    refused = {
        (kept.source.partition, kept.source.offset): topic
        for topic in (EVENTS_REJECTED, EVENTS_LATE)
        for kept in evidence.kept(topic)
        if not isinstance(kept, Place)
    }
    for place, record in evidence.records(VOICES):
        for one in (content(record) or {}).get("contributors") or ():
            topic = refused.get((one.get("partition"), one.get("offset")))
            if topic is not None:
                yield Finding(f"explained by {one['partition']}@{one['offset']}, which stands in {topic}", place)


def _strangers(told: _Told) -> Iterator[Finding]:
    """No request without its intent, and each shows the intent's numbers where it shows any."""
    keys = {intent.dedup_key for _, intent in told.intents.values()}
    for one in told.deliveries:
        if one.notification_id:
            known = told.intents.get(one.notification_id)
            if known is None:
                yield Finding(f"{one.endpoint} at {one.at} tells {one.notification_id}, which nobody decided")
                continue
            place, intent = known
            shown = {name: one.details[name] for name in ("pain", "chaos", "trust") if name in one.details}
            meant = {name: getattr(intent.voice, name) for name in shown}
            if shown != meant:
                yield Finding(f"{one.endpoint} at {one.at} shows {shown}, decided was {meant}", place)
        elif one.dedup_key and one.dedup_key not in keys:
            yield Finding(f"{one.endpoint} at {one.at} tells {one.dedup_key}, which nobody decided")


# --------------------------------------------------------------------------------------- I8: no repeats, outward half


def extra_deliveries(evidence: Evidence, states: States) -> Judgement:
    """Whether no more was told twice than kills and cuts can excuse, and each page was one incident."""
    told = _Told(evidence)
    findings: list[Finding] = []
    times = Counter(
        (one.endpoint, one.notification_id, one.threaded)
        for one in told.deliveries
        if one.notification_id and one.endpoint in (_POST, _PAGE)
    )
    extra = sum(number - 1 for number in times.values())
    kills = sum(
        one.kind in ("kill", "pause", "term") and one.target.startswith("dispatcher") for one in evidence.faults
    )
    cuts = sum(one.status == 0 for one in evidence.received)
    if extra > kills + cuts:
        repeated = max(times, key=lambda key: times[key])
        place = told.intents[repeated[1]][0] if repeated[1] in told.intents else None
        text = f"{extra} deliveries too many, {kills} kills and {cuts} cuts excuse {kills + cuts}: {repeated[1]} most"
        findings.append(Finding(text, place))
    incidents = Counter(_opened(told.deliveries))
    pages = {intent.dedup_key for _, intent in told.intents.values() if intent.kind == "pagerduty"}
    for key, number in incidents.items():
        if number > 1:
            findings.append(Finding(f"{number} incidents of the one page {key}"))
        if key not in pages:
            findings.append(Finding(f"an incident {key} that nobody decided"))
    return Judgement(tuple(findings), (), {"extra": extra, "extra_budget": kills + cuts})


def _opened(deliveries: Sequence[Delivery]) -> Iterator[str]:
    """The dedup key of each incident that was opened: a trigger while none of its key is open."""
    opened: set[str] = set()
    for one in deliveries:
        if one.endpoint != _PAGE:
            continue
        if one.action == "trigger" and one.dedup_key not in opened:
            opened.add(one.dedup_key)
            yield one.dedup_key
        elif one.action == "resolve":
            opened.discard(one.dedup_key)


# --------------------------------------------------------------------------------------------------- I9: lifecycle


def lifecycle(evidence: Evidence, states: States) -> Judgement:
    """Whether everybody who was told of trouble is told of its end, in that order, and of nothing that is over."""
    told = _Told(evidence)
    findings = [*_order(told), *_unresolved(told)]
    if evidence.received:
        findings += _open_pages(told)
    return Judgement(tuple(findings), () if told.intents else ("nothing was decided to be told",))


def _order(told: _Told) -> Iterator[Finding]:
    """Per destination and dedup key: an open before its resolve, in the log and at the receiver."""
    whole = _is_whole(told.evidence, INTENTS)
    begun: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for place, intent in sorted(told.intents.values(), key=lambda one: (one[1].group_episode, one[1].sequence)):
        key = (intent.destination, intent.dedup_key)
        if intent.action == "open":
            if key in ended:
                yield Finding(f"{intent.dedup_key} is opened again after its resolve", place)
            begun.add(key)
        elif intent.action == "resolve":
            if key not in begun and whole:
                yield Finding(f"{intent.dedup_key} is resolved without having been opened", place)
            ended.add(key)
    triggered: set[str] = set()
    for one in told.deliveries:
        if one.endpoint == _PAGE and one.action == "trigger":
            triggered.add(one.dedup_key)
        elif one.endpoint == _PAGE and one.action == "resolve" and one.dedup_key not in triggered:
            yield Finding(f"{one.dedup_key} was resolved at {one.at} before it was triggered")


def _unresolved(told: _Told) -> Iterator[Finding]:
    """A group of which every alert has ended owes a resolve to everybody it was opened for."""
    ended_at = _ends(told)
    limit = told.evidence.run.limits.delivery
    by_key: dict[tuple[str, str], dict[str, tuple[Place, IntentRecord]]] = defaultdict(dict)
    for place, intent in told.intents.values():
        by_key[intent.destination, intent.group_episode].setdefault(intent.action, (place, intent))
    for (destination, episode), actions in by_key.items():
        over = ended_at.get(episode)
        if "open" not in actions or over is None or over + limit > told.evidence.run.ended:
            continue
        place, opened = actions["open"]
        known = told.outcomes.get(opened.notification_id)
        if known is None or known[1].outcome != "delivered":
            continue
        if "resolve" not in actions:
            yield Finding(f"{destination} was told of {episode}, which ended at {over}, and of no end", place)
            continue
        end_place, resolve = actions["resolve"]
        outcome = told.outcomes.get(resolve.notification_id)
        if outcome is not None and outcome[1].outcome not in ("delivered", "superseded", "dropped"):
            yield Finding(f"the resolve of {episode} to {destination} was {outcome[1].outcome}", end_place)


def _ends(told: _Told) -> dict[str, Instant]:
    """When the last alert of each group episode ended, for those of which all have."""
    members: dict[str, set[tuple[str, str]]] = defaultdict(set)
    standing: dict[tuple[str, str], tuple[Instant, str]] = {}
    for _, decision in told.decisions:
        changed = [(one.subject, one.voice.value) for one in decision.transitions]
        for transition in decision.transitions:
            standing[transition.subject, transition.voice.value] = (decision.at, transition.after)
        for verdict in decision.verdicts:
            members[verdict.group_episode].update(changed)
    ends: dict[str, Instant] = {}
    for episode, alerts in members.items():
        known = [standing[one] for one in alerts]
        if known and all(after in ("resolved", "none") for _, after in known):
            ends[episode] = max(at for at, _ in known)
    return ends


def _open_pages(told: _Told) -> Iterator[Finding]:
    """At the end the open incidents are those of groups that fire."""
    opened: set[str] = set()
    for one in told.deliveries:
        if one.endpoint == _PAGE:
            (opened.discard if one.action == "resolve" else opened.add)(one.dedup_key)
    limit = told.evidence.run.limits.delivery
    for place, intent in told.intents.values():
        if intent.kind != "pagerduty" or intent.action != "resolve" or intent.dedup_key not in opened:
            continue
        if intent.created + limit < told.evidence.run.ended:
            yield Finding(f"incident {intent.dedup_key} is open, its resolve was decided at {intent.created}", place)
