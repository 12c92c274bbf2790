"""The scorer: events in; scores and voices of connections, shares of seams, rejected and late records out.

One instance per partition of ``events.v1``. Every record is folded by itself in offset order, so any cut into batches
gives the same outputs. Time comes from the records; the worker's clock only moves an idle partition (``tick``).
Events fold into panes at once; when the watermark passes a pane's end the pane *closes*: silence is judged, scores
are reckoned, voices decided, shares written. What is accepted later for a closed pane *revises* it: the connection's
records at once, the seams' shares together, at most once per ``revise_every`` of append time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.codec import decode_event, encode
from schemas.hot import HotEvent
from schemas.registry import DeltaRegistry
from schemas.rejects import TOMBSTONE, Rejected, RejectReason, keep_late, keep_rejected
from schemas.topics import EVENTS_LATE, EVENTS_REJECTED, PARTIALS, SCORES, VOICES
from schemas.types import Instant, Level, Origin, VoiceName
from schemas.wire import PartialWire

from .runtime.contract import Assignment, Effects, Output, Record, StateRecord
from .scoring.connection import ConnectionState, Fate, Published, silence_of
from .scoring.evidence import SILENT, Weight, telling_latency, weigh
from .scoring.names import BoundedNames, SeamPlaces
from .scoring.panes import Order
from .scoring.records import heard_at, score_record, voice_record
from .scoring.repeats import Repeat, RepeatMemory
from .scoring.rules import ScoreRules
from .scoring.scores import pain_at, scores_at
from .scoring.seam_news import SeamKey, SeamNews
from .scoring.sums import Part
from .scoring.triad import Scores
from .scoring.voices import MUTE, Saying, early_alarm, forget, speak, speak_again, speak_early, undisturbed
from .scoring.watermark import NEVER, PartitionTime

__all__ = ["Scorer"]

_FORMAT: Final = 2
"""Of the state records; another one is refused. 2: panes are stored in two parts, routine ones shortly."""

_SCORED: Final = "scored"
_REJECTED: Final = "rejected"
_LATE: Final = "late"
_DUPLICATE: Final = "duplicate"

_CORE: Final = b"core"
_CONNECTION: Final = b"c:"
_IDS: Final = b"i:"
_SUMS: Final = b"s:"
_SEPARATOR: Final = "\x1f"
"""Between connection and experiment; no id may contain it."""

_MEMO_LIMIT: Final = 4_096


class Scorer:
    """Folds, scores and speaks for the connections of one partition. Implements ``Processor``."""

    def __init__(
        self, assignment: Assignment, rules: ScoreRules, registry: DeltaRegistry, *, worker_version: str = "0.1.0"
    ) -> None:
        self._partition = assignment.partition
        self._peers = assignment.partitions[PARTIALS]
        self._rules = rules
        self._registry = registry
        self._version = worker_version
        self._silence = silence_of(registry, rules)
        self._decay = rules.decay
        self._weights: dict[tuple[object, ...], Weight] = {}
        self._effects = Effects()
        self.tallies: Counter[str] = Counter()
        """Counted since the start of this worker, for metrics; not part of the state."""

        self._time = PartitionTime(rules)
        self._closed: int | None = None
        """Newest closed pane; None before the first accepted event."""
        self._states: dict[str, ConnectionState] = {}
        self._seams = SeamNews(self._partition, rules, registry, self._time, self._states)
        self._repeats = RepeatMemory(rules)
        self._places = SeamPlaces(registry.seams, rules)
        self._unknown = BoundedNames(rules.max_unknown_deltas)
        self._fields = BoundedNames(rules.max_unknown_fields)
        self._names: list[str] | None = None
        """All names in order; None when one came or left since."""
        self._touched: set[str] = set()
        """Connections that changed since the last snapshot; those without a state are deleted."""
        self._core = b""

    # -------------------------------------------------------------------------------------- the processor protocol

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take the state as last committed.

        Errors: ValueError when it is of another format, or was made with another pane length.
        """
        records = {key: value for key, value in snapshot if value is not None}
        core = records.pop(_CORE, None)
        if core is not None:
            self._load_core(msgspec.msgpack.decode(core))
        chunks: list[tuple[int, list[Any]]] = []
        for key, value in records.items():
            decoded = msgspec.msgpack.decode(value)
            if key.startswith(_IDS):
                chunks.append((int(key[len(_IDS) :]), decoded))
            elif key.startswith(_SUMS):
                space, seam, pane = key[len(_SUMS) :].decode().split(_SEPARATOR)
                self._seams.restore_sums((space, seam), int(pane), decoded)
            else:
                name, state = key[len(_CONNECTION) :].decode(), ConnectionState.load(decoded)
                self._states[name] = state
                self._seams.enrol(name, state)
        self._repeats.restore(chunks)
        self._names = None

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Fold records in offset order. Outcomes: scored, rejected, late, duplicate, tombstone."""
        effects = self._effects = Effects()
        counts = effects.counts
        appended: Instant | None = None
        for record in batch:
            if record.timestamp != appended:
                # A producer's batch shares its append time; the second record of it brings about nothing.
                appended = record.timestamp
                self._append(appended, now)
            outcome = self._fold(record)
            counts[outcome] = counts.get(outcome, 0) + 1
            if self._seams.words:
                self._tell_seams()
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Let time pass: idle watermark, end of a hold, shares that were waiting to be sent."""
        effects = self._effects = Effects()
        held = self._time.held
        self._time.waited(now, at_end=at_end)
        self._advance(was_held=held)
        if at_end:
            self._seams.send_waiting(self._closed)
        self._tell_seams()
        return effects

    def snapshot(self) -> Iterator[StateRecord]:
        """What changed since the last snapshot."""
        for name in sorted(self._touched):
            state = self._states.get(name)
            value = None if state is None else msgspec.msgpack.encode(state.dump())
            yield StateRecord(_CONNECTION + name.encode(), value)
        self._touched.clear()
        for number, rows in self._repeats.chunks(self._time.watermark):
            yield StateRecord(_IDS + b"%d" % number, None if rows is None else msgspec.msgpack.encode(rows))
        for key, pane, dumped in self._seams.changed_sums():
            yield StateRecord(_sums_key(key, pane), None if dumped is None else msgspec.msgpack.encode(dumped))
        core = self._dump_core()
        # The clock alone is no change: an idle partition would write its state with every tick.
        changed = _without_clock(core)
        if changed != self._core:
            self._core = changed
            yield StateRecord(_CORE, msgspec.msgpack.encode(core))

    # ------------------------------------------------------------------------------------------------ for metrics

    @property
    def watermark(self) -> Instant | None:
        """The partition's watermark; None before the first accepted event."""
        return None if self._time.watermark == NEVER else self._time.watermark

    @property
    def held(self) -> bool:
        """Whether the watermark is held."""
        return self._time.held

    @property
    def connections(self) -> int:
        """How many connections are known."""
        return sum(state.forgotten is None for state in self._states.values())

    # ------------------------------------------------------------------------------------------------- one record

    def _fold(self, record: Record) -> str:
        value = record.value
        if value is None:
            return TOMBSTONE
        event = decode_event(
            value, Origin(record.key, record.partition, record.offset, record.timestamp), self._registry
        )
        if isinstance(event, Rejected):
            return self._reject(record, event)
        if event.explicit_id:
            repeat = self._repeats.ask(event.connection_id, event.event_id, value, self._time.watermark)
            if repeat is not Repeat.NEW:
                if repeat is Repeat.DUPLICATE:
                    return _DUPLICATE
                return self._reject(record, Rejected(RejectReason.ID_CONFLICT, "event_id"))
        name = event.connection_id
        if event.experiment_id is not None:
            name = f"{name}{_SEPARATOR}{event.experiment_id}"
        state = self._states.get(name)
        if self._time.is_late(event.time, None if state is None else state.newest):
            self._put(EVENTS_LATE, *keep_late(record))
            return _LATE
        return self._accept(event, value, name, state)

    def _accept(self, event: HotEvent, value: bytes, name: str, state: ConnectionState | None) -> str:
        rules, time = self._rules, event.time
        number = time // rules.pane
        if state is not None and state.forgotten is not None and time >= (state.forgotten + 1) * rules.pane:
            state = None
        order: Order = (time, event.event_id, event.offset)
        seam = self._seam_of(event, state, order)
        if seam is None:
            self.tallies["silent_unknown"] += 1
            return _SCORED
        delta = event.delta
        if not event.known or event.key_mismatch or event.unknown_fields:
            delta = self._count_oddities(event)
        if event.explicit_id:
            self._repeats.reserve(event.connection_id, event.event_id, time, value)
        if state is None:
            state = self._welcome(name, event, number)
        weight = self._weigh(event)
        closed = self._closed
        if closed is not None and number <= closed:
            alive = self._alive(state, number)
            parts = self._seams.parts(state, alive)
        hurts = weight.harm > 0.0
        key = (event.experiment_id or "", seam)
        if hurts:
            watched = self._watched(state, key, number)
        fresh = seam not in state.seams
        moved = state.fold(number, seam, weight, order, delta, event.omega, event.dimension, rules)
        if fresh or moved:
            self._seams.enrol(name, state)
        if hurts or moved or state.seams[seam].child != closed:
            for touched in (seam, *moved):
                self._seams.notice((key[0], touched), name)
        self._touched.add(name)
        if closed is not None and number <= closed:
            self._revise(name, state, number, {seam, *moved}, alive, parts)
        self._time.accepted(time)
        if closed is None or self._time.watermark >= (closed + 2) * rules.pane:
            self._advance(was_held=self._time.held)
        if hurts:
            self._hurt(state, key, number, watched)
        return _SCORED

    def _reject(self, record: Record, rejected: Rejected) -> str:
        self.tallies[f"rejected:{rejected.reason.value}"] += 1
        self._put(EVENTS_REJECTED, *keep_rejected(record, rejected, worker_version=self._version))
        return _REJECTED

    def _seam_of(self, event: HotEvent, state: ConnectionState | None, order: Order) -> str | None:
        """The seam an event counts under; None for an ``agent_silent`` about a connection that is not known."""
        if event.delta != SILENT:
            return self._places.place(event.seam_id)
        if state is None or state.forgotten is not None:
            return None
        return state.seam_of_last_real(order, self._rules)

    def _welcome(self, name: str, event: HotEvent, number: int) -> ConnectionState:
        if name in self._states:
            self._strike(name)
        if len(self._states) >= self._rules.max_connections:
            self._evict()
        state = self._states[name] = ConnectionState(event.connection_id, event.experiment_id, number)
        self._names = None
        return state

    def _weigh(self, event: HotEvent) -> Weight:
        latency = event.latency_ms
        key = (
            event.delta,
            event.dimension,
            event.omega,
            event.voice_pain,
            event.voice_chaos,
            event.voice_trust,
            None if latency is None else telling_latency(latency, self._rules.latency),
        )
        weight = self._weights.get(key)
        if weight is None:
            if len(self._weights) >= _MEMO_LIMIT:
                self._weights.clear()
            weight = self._weights[key] = weigh(event, self._registry.rows.get(event.delta), self._rules)
        return weight

    def _count_oddities(self, event: HotEvent) -> str:
        """Count what is unusual about an event. The name under which its delta counts."""
        if event.key_mismatch:
            self.tallies["key_mismatch"] += 1
        for field in event.unknown_fields:
            self.tallies[f"unknown_field:{self._fields.name(field)}"] += 1
        if event.known:
            return event.delta
        self.tallies["unknown_delta"] += 1
        return self._unknown.name(event.delta)

    # ------------------------------------------------------------------------------------------------ time passes

    def _append(self, append_ts: Instant, now: Instant) -> None:
        """A record was read: what its append time alone brings about."""
        held = self._time.held
        self._time.appended(append_ts, now)
        if held or self._time.held:
            self._advance(was_held=held)
        if self._seams.waiting:
            self._seams.send_waiting(self._closed)

    def _advance(self, *, was_held: bool) -> None:
        """Close every pane that the watermark has passed."""
        watermark = self._time.watermark
        if watermark == NEVER:
            return
        reached = watermark // self._rules.pane - 1
        if self._closed is None:
            self._closed = reached
        elif reached > self._closed:
            while self._closed < reached:
                if not self._seams.expected and all(state.first > self._closed + 1 for state in self._states.values()):
                    # Nobody lived then: one word stands for all these panes.
                    first = min((state.first for state in self._states.values()), default=reached)
                    self._closed = max(self._closed, min(first, reached) - 1)
                self._close(self._closed + 1)
            return
        if was_held != self._time.held:
            self._seams.tell_progress(self._closed)

    def _close(self, number: int) -> None:
        """The end of a pane: silence, scores, voices, shares, progress."""
        rules = self._rules
        self._seams.send_revised()
        self._closed = number
        end = (number + 1) * rules.pane
        oldest = number + 1 - self._seams.deepest - rules.chaos_panes
        live: dict[str, int] = {}
        states, touched = self._states, self._touched
        reborn: dict[str, ConnectionState] = {}
        for name in self._in_order():
            state = states[name]
            if state.forgotten is not None:
                if end >= (state.forgotten + 1) * rules.pane + rules.late_horizon:
                    self._strike(name)
                continue
            if state.first > number:
                continue
            touched.add(name)
            stepped = state.step(number, self._silence, rules)
            if stepped.seams:
                self._seams.enrol(name, state)
            if stepped.fate is Fate.FORGOTTEN:
                life = state.next_life(number)
                if life is not None:
                    life.memory = early_alarm(state.memory, end)
                    reborn[name] = life
                self._forget(state, number)
                continue
            if stepped.fate is Fate.ALIVE:
                space = state.experiment_id or ""
                live[space] = live.get(space, 0) + 1
            scores = scores_at(state.whole, number, rules, self._decay)
            self._publish(state, number, scores, spoke=self._speak(state, number, scores))
            state.trim(oldest, rules, self._decay)
        self._seams.close(number, live)
        for name, life in reborn.items():
            self._strike(name)
            states[name] = life
            self._seams.enrol(name, life)
        self._repeats.expire(self._time.watermark)

    def _in_order(self) -> Sequence[str]:
        """The names of all connections, sorted: the order of the records of a pane."""
        if self._names is None:
            self._names = sorted(self._states)
        return self._names

    # --------------------------------------------------------------------------------------- connections: records

    def _speak(self, state: ConnectionState, number: int, scores: Scores) -> bool:
        """Decide the voices of a pane for the first time. Whether anything was said."""
        rules, rounded = self._rules, scores.rounded()
        state.remember(number, rounded, rules.voices.recent_panes)
        state.spoken, state.revision = number, 0
        if undisturbed(state.memory, *rounded, rules.voices):
            return False
        heard = heard_at(state, number, scores, self._partition, rules, self._decay)
        spoken = speak(state.memory, heard, rules.voices, Level.CONNECTION, (number + 1) * rules.pane)
        state.memory = spoken.memory
        self._say(state, spoken.sayings, number, scores)
        return bool(spoken.sayings)

    def _speak_again(self, state: ConnectionState, number: int, scores: Scores, *, withdrawn: bool) -> bool:
        """Decide the voices of the newest closed pane again. Whether anything was said."""
        rules, rounded = self._rules, scores.rounded()
        state.remember(number, rounded, rules.voices.recent_panes)
        state.revision += 1
        if undisturbed(state.memory, *rounded, rules.voices):
            return False
        heard = heard_at(state, number, scores, self._partition, rules, self._decay)
        end = (number + 1) * rules.pane
        spoken = speak_again(state.memory, heard, rules.voices, Level.CONNECTION, end, withdrawn=withdrawn)
        state.memory = spoken.memory
        self._say(state, spoken.sayings, number, scores)
        return bool(spoken.sayings)

    def _say(self, state: ConnectionState, sayings: Iterable[Saying], number: int, scores: Scores) -> None:
        for saying in sayings:
            revision = state.revision if number == state.spoken else 0
            record = voice_record(state, saying, number, revision, scores, self._partition, self._rules, self._decay)
            self._put(VOICES, state.subject.encode(), encode(record))
            if saying.voice is VoiceName.ALARM and saying.delta in ("voice_raised", "voice_changed"):
                self._effects.urgent = True

    def _publish(self, state: ConnectionState, number: int, scores: Scores, *, spoke: bool) -> None:
        """Write the score record of a pane, if it is to be written."""
        rounded = scores.rounded()
        prior = state.published.get(number)
        if not spoke and not self._is_news(state, number, rounded, prior):
            return
        revision = 0 if prior is None else prior.revision + 1
        state.published[number] = Published(revision, *rounded)
        record = score_record(state, number, revision, scores, self._partition, self._rules, self._decay)
        self._put(SCORES, state.subject.encode(), encode(record))

    def _is_news(
        self, state: ConnectionState, number: int, rounded: tuple[float, float, float], prior: Published | None
    ) -> bool:
        if self._rules.emit != "changed":
            return self._rules.emit == "all"
        last = prior
        if last is None:
            before = max((pane for pane in state.published if pane < number), default=None)
            if before is None:
                return True
            last = state.published[before]
        moved = zip(rounded, last[1:], strict=True)
        return any(round(abs(new - old), 6) >= self._rules.changed_by for new, old in moved)

    def _forget(self, state: ConnectionState, number: int) -> None:
        """A connection is forgotten at the end of this pane. It is kept for as long as an event may deny it."""
        state.forgotten = number
        sayings = forget(state.memory, (number + 1) * self._rules.pane)
        if sayings:
            scores = scores_at(state.whole, number, self._rules, self._decay)
            state.spoken, state.revision = number, 0
            self._say(state, sayings, number, scores)
        state.memory = MUTE

    # ------------------------------------------------------------------------------------------ closed panes revised

    def _alive(self, state: ConnectionState, number: int) -> dict[int, bool]:
        """In which of the closed panes from ``number`` on a connection counts as living."""
        closed = self._closed if self._closed is not None else number
        panes = range(number, closed + 1)
        if not state.seams:
            return dict.fromkeys(panes, False)
        return {pane: state.alive_at(pane, self._rules, self._decay) for pane in panes}

    def _revise(
        self,
        name: str,
        state: ConnectionState,
        number: int,
        seams: set[str],
        before: dict[int, bool],
        parts: Mapping[tuple[str, int], Part],
    ) -> None:
        """An event was accepted for a closed pane: everything from there on is judged and told again."""
        closed = max(before)
        for track in state.tracks():
            track.views = [view for view in track.views if view[0] < number]
        if state.forgotten is not None:
            state.forgotten = None
        withdrawn = False
        for pane in range(number, closed + 1):
            stepped = state.step(pane, self._silence, self._rules)
            seams.update(stepped.seams)
            withdrawn = withdrawn or stepped.withdrawn
            if stepped.fate is Fate.FORGOTTEN:
                self._forget(state, pane)
                break
            scores = scores_at(state.whole, pane, self._rules, self._decay)
            if pane < closed:
                state.remember(pane, scores.rounded(), self._rules.voices.recent_panes)
                spoke = False
            elif state.spoken == closed:
                spoke = self._speak_again(state, pane, scores, withdrawn=withdrawn)
            else:
                spoke = self._speak(state, pane, scores)
            self._publish(state, pane, scores, spoke=spoke)
        self._seams.enrol(name, state)
        space = state.experiment_id or ""
        if self._seams.lived(space, before, self._alive(state, number)):
            seams.update(state.seams)
        self._seams.swap(name, state, parts, range(number, closed + 1))
        self._seams.revised(space, seams, before)

    # ------------------------------------------------------------------------------------------ speaking early (3.8)

    def _watched(self, state: ConnectionState, key: SeamKey, number: int) -> tuple[tuple[int, float], ...]:
        """Pain on the seam, before an event that hurts, in every open pane whose window holds the event."""
        track = state.seams.get(key[1])
        first = number if self._closed is None else max(number, self._closed + 1)
        newest = max((one.panes[-1].number for one in state.tracks() if one.panes), default=first)
        last = max(first, min(newest, number + self._rules.pain_panes - 1))
        return tuple(
            (pane, 0.0 if track is None else round(pain_at(track, pane, self._rules), 6))
            for pane in range(first, last + 1)
            if pane < number + self._rules.pain_panes
        )

    def _hurt(self, state: ConnectionState, key: SeamKey, number: int, watched: tuple[tuple[int, float], ...]) -> None:
        """After an event that hurts: an Alarm that is certain is spoken, a seam that hears of it is told."""
        rules = self._rules
        limits = (rules.early_share_pain, rules.voices.alarm_pain_above)
        for pane, before in watched:
            if state.memory.now.alarm.since is None:
                self._alarm_early(state, pane)
            after = round(pain_at(state.seams[key[1]], pane, rules), 6)
            if any(before <= limit < after for limit in limits):
                self._seams.ask_early(key, pane, self._closed)

    def _alarm_early(self, state: ConnectionState, pane: int) -> None:
        rules = self._rules
        if not round(pain_at(state.whole, pane, rules), 6) > rules.voices.alarm_pain_above:
            return
        scores = scores_at(state.whole, pane, rules, self._decay)
        heard = heard_at(state, pane, scores, self._partition, rules, self._decay)
        spoken = speak_early(state.memory, heard, rules.voices, Level.CONNECTION, (pane + 1) * rules.pane)
        state.memory = spoken.memory
        self._say(state, spoken.sayings, pane, scores)

    def _tell_seams(self) -> None:
        """Write what the roll-up is to hear."""
        for key, record in self._seams.take():
            value = encode(record)
            if key is None:
                self._effects.outputs += [Output(PARTIALS, b"progress", value, partition=n) for n in range(self._peers)]
            else:
                self._put(PARTIALS, _parent_key(key), value)
                if isinstance(record, PartialWire) and record.early:
                    self._effects.urgent = True

    def _put(self, topic: str, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        self._effects.outputs.append(Output(topic, key, value, headers))

    # ----------------------------------------------------------------------------------------- who is known, and state

    def _strike(self, name: str) -> None:
        """Drop a connection for good."""
        self._seams.strike(name, self._states.pop(name))
        self._names = None
        self._touched.add(name)

    def _evict(self) -> None:
        """Make room: the connections heard of least recently leave, their open pane is scored once more."""
        room = max(1, self._rules.max_connections // 100)
        oldest = sorted(self._states, key=lambda name: (self._states[name].newest, name))[:room]
        for name in oldest:
            state = self._states[name]
            self.tallies["evicted:connections"] += 1
            if state.forgotten is None and self._closed is not None:
                pane = max(self._closed + 1, state.first)
                scores = scores_at(state.whole, pane, self._rules, self._decay)
                self._publish(state, pane, scores, spoke=True)
                self._forget(state, pane)
            self._strike(name)

    def _dump_core(self) -> list[Any]:
        return [
            _FORMAT,
            self._rules.pane,
            self._time.dump(),
            self._closed,
            self._places.taken,
            sorted(self._unknown.known),
            sorted(self._fields.known),
            self._seams.dump(),
        ]

    def _load_core(self, core: list[Any]) -> None:
        if core[0] != _FORMAT:
            message = f"scorer state: format {core[0]}, this version reads {_FORMAT}"
            raise ValueError(message)
        if core[1] != self._rules.pane:
            message = f"scorer state: made with panes of {core[1]} ms, the rules say {self._rules.pane} ms"
            raise ValueError(message)
        self._time.restore(core[2])
        self._closed = core[3]
        self._places.taken = core[4]
        self._unknown.known = set(core[5])
        self._fields.known = set(core[6])
        self._seams.restore(core[7])
        self._core = _without_clock(core)


def _without_clock(core: list[Any]) -> bytes:
    return msgspec.msgpack.encode([*core[:2], core[2][:-1], *core[3:]])


def _sums_key(key: SeamKey, pane: int) -> bytes:
    return _SUMS + f"{key[0]}{_SEPARATOR}{key[1]}{_SEPARATOR}{pane}".encode()


def _parent_key(key: SeamKey) -> bytes:
    space, seam = key
    return (f"{seam}@{space}" if space else seam).encode()
