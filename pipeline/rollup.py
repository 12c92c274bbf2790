"""The roll-up: partial sums of all sources in, scores and voices of seams and of the ecosystem out.

One instance per partition of ``partials.v1``. Seams whose name hashes to it are merged from the shares of all scorer
partitions; their sum goes on as this partition's share of the ecosystem, which comes back to the partition that owns
it. A pane is decided when it is final (``rolling.sources``); what comes later revises it. Every record is folded by
itself, so any cut into batches gives the same outputs; the clock only decides who is silent, in ``tick``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from pipeline.rolling.memory import PANES_KEPT_AT_MOST, Memory
from pipeline.rolling.merging import LATEST, Gones, LevelScore, add_up, carried, is_sound, painless
from pipeline.rolling.parents import Parent
from pipeline.rolling.records import (
    digest_of,
    heard_of,
    progress_record,
    score_record,
    seams_gone,
    share_record,
    told_of,
    voice_record,
)
from pipeline.rolling.sources import Sources
from pipeline.rolling.state import Forwarded
from pipeline.runtime.contract import Assignment, Effects, Output, Record, StateRecord
from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.voices import MUTE, Saying, VoiceMemory, speak, speak_again, speak_early
from schemas.codec import decode_partial, encode
from schemas.registry import DeltaRegistry, Population
from schemas.rejects import TOMBSTONE
from schemas.topics import EVENTS, PARTIALS, SCORES, VOICES
from schemas.types import Instant, Level, VoiceName, join_subject
from schemas.wire import PartialWire, ProgressWire

__all__ = ["ECOSYSTEM_NAME", "RollUp"]

ECOSYSTEM_NAME: Final = "iskra"

_MERGED: Final = "merged"
_STALE: Final = "stale"
_REJECTED: Final = "rejected"

_EARLY_STEP: Final = 0.05
"""A seam's early pain goes on to the ecosystem when it crosses a threshold or has grown by this."""


class RollUp:
    """Merges, decides and forwards. Implements ``pipeline.runtime.contract.Processor``."""

    def __init__(self, assignment: Assignment, rules: ScoreRules, registry: DeltaRegistry) -> None:
        self._partition = assignment.partition
        self._peers = assignment.partitions[PARTIALS]
        self._rules = rules
        self._registry = registry
        self._memory = Memory(assignment.partitions[EVENTS], self._peers, rules)
        self._effects = Effects()

    # ------------------------------------------------------------------------------------- the processor protocol

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take the state as last committed. Errors: ValueError when it is not of this format and pane length."""
        self._memory.restore(snapshot)

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Fold records in offset order. Outcomes: merged, stale, rejected, tombstone."""
        effects = self._effects = Effects()
        outcomes = Counter(self._fold(record) for record in batch)
        effects.counts.update(outcomes)
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Let the clock say which sources are silent; panes that waited only for them become final."""
        effects = self._effects = Effects()
        for level in (Level.SEAM, Level.ECOSYSTEM):
            sources = self._memory.sources[level]
            changed = sources.waited(now, at_end=at_end)
            for number in changed:
                self._memory.touch("source", level.value, str(number))
            if changed:
                self._settle(level)
        return effects

    def snapshot(self) -> Iterable[StateRecord]:
        """What changed since the last snapshot."""
        return self._memory.snapshot()

    # ------------------------------------------------------------------------------------------- what comes in

    def _fold(self, record: Record) -> str:
        if record.value is None:
            return TOMBSTONE
        read = decode_partial(record.value)
        if isinstance(read, PartialWire):
            return self._take_share(read)
        if isinstance(read, ProgressWire):
            return self._take_progress(read)
        return _REJECTED

    def _take_share(self, share: PartialWire) -> str:
        sources = self._memory.sources.get(share.level)
        if sources is None or share.source not in sources or not is_sound(share, self._rules.pane):
            return _REJECTED
        prefix = join_subject(share.level, "")
        if not share.parent.startswith(prefix) or share.parent == prefix:
            return _REJECTED
        if sources.spoke(share.source):
            self._memory.touch("source", share.level.value, str(share.source))
        return self._take_early(share, sources) if share.early else self._take_closed(share, sources)

    def _take_closed(self, share: PartialWire, sources: Sources) -> str:
        end, source = share.window_end, share.source
        parent = self._memory.parents.get(share.parent)
        known = parent.share(end, source) if parent else None
        if known is not None and share.revision <= known.revision:
            return _STALE
        passed = sources.passed(source, end)
        if passed and end < self._memory.floor(sources):
            return _STALE
        parent = self._memory.parent(share.parent)
        parent.shares.setdefault(end, {})[source] = share
        self._memory.touch("share", parent.subject, str(end), str(source))
        final = sources.final
        if final is None or end > final:
            if end in parent.early:
                self._speak_early(parent, end)
        elif passed:
            # A source that was passed over is taken back in with its progress, all its shares at once.
            self._revise(parent.level, [parent], end)
        return _MERGED

    def _take_early(self, share: PartialWire, sources: Sources) -> str:
        end, source = share.window_end, share.source
        if sources.passed(source, end):
            return _STALE
        if sources.final is not None and end <= sources.final:
            # The source is passed over, held perhaps: it speaks into the pane that is open here.
            end = sources.final + self._rules.pane
        parent = self._memory.parents.get(share.parent)
        known = parent.early.get(end, {}).get(source) if parent else None
        if known is not None and (known.window_end, known.revision) >= (share.window_end, share.revision):
            return _STALE
        parent = self._memory.parent(share.parent)
        parent.early.setdefault(end, {})[source] = share
        self._memory.touch("early", parent.subject, str(end), str(source))
        self._speak_early(parent, end)
        return _MERGED

    def _take_progress(self, progress: ProgressWire) -> str:
        sources = self._memory.sources.get(progress.level)
        counts = progress.live.values()
        if sources is None or progress.source not in sources or any(count < 0 for count in counts):
            return _REJECTED
        if progress.window_end % self._rules.pane or not 0 < progress.window_end <= LATEST:
            return _REJECTED
        before = sources.all[progress.source].window_end
        if not sources.heard(progress):
            return _STALE
        self._memory.touch("source", progress.level.value, str(progress.source))
        for end in self._overtaken(sources, progress, before):
            self._revise(progress.level, self._memory.of(progress.level), end)
        self._settle(progress.level)
        return _MERGED

    def _overtaken(self, sources: Sources, progress: ProgressWire, before: Instant | None) -> list[Instant]:
        """Final panes that look different now: the source closed them at last, or counts its links anew."""
        final = sources.final
        if final is None:
            return []
        floor, end = self._memory.floor(sources), progress.window_end
        if before is not None and end <= before:
            return [end] if floor <= end <= final else []
        known = {e for parent in self._memory.of(progress.level) for e in (*parent.shares, *parent.told)}
        return sorted(e for e in known if e >= floor and e <= min(end, final) and (before is None or e > before))

    # ---------------------------------------------------------------------------------------- final and revised

    def _settle(self, level: Level) -> None:
        """Decide every pane that has become final, in order."""
        sources = self._memory.sources[level]
        due = sources.due()
        if due is None or due == sources.final:
            return
        for end in self._panes_to(due, level):
            sources.final = end
            self._close(level, end)
        sources.final = due
        self._memory.touch("levels")
        if level is Level.SEAM:
            progress = progress_record(self._partition, due)
            for peer in range(self._peers):
                self._put(PARTIALS, "progress", progress, peer)
        self._memory.prune(level, due)

    def _panes_to(self, due: Instant, level: Level) -> Iterator[Instant]:
        """The panes up to ``due`` in which anything can happen, in order.

        Of a stretch in which nobody has children the first and the last are enough: there all voices end. Of one
        in which only sources that are passed over have children, the newest are.
        """
        sources, pane = self._memory.sources[level], self._rules.pane
        start = sources.final
        ends = {e for parent in self._memory.of(level) for e in parent.shares if start is None or e > start}
        marks = sorted({e for e in ends if e <= due} | {due})
        if start is None:
            start = marks[0] - pane
        for mark in marks:
            gap = range(start + pane, mark, pane)
            lingering = any(self._has_children(parent, gap[0]) for parent in self._memory.of(level)) if gap else False
            yield from gap[-PANES_KEPT_AT_MOST:] if lingering else gap[:1]
            yield mark
            start = mark

    def _has_children(self, parent: Parent, end: Instant) -> bool:
        return bool(self._shares_at(parent, end))

    def _close(self, level: Level, end: Instant) -> None:
        """Decide one pane of a level, for the first time."""
        for parent in self._memory.of(level):
            score, gone = self._score(parent, end)
            if score is not None:
                self._publish(parent, score)
                parent.last_record = end
                self._memory.touch("voice", parent.subject)
            if score is not None or parent.memory is not MUTE:
                heard = heard_of(parent.subject, score, gone)
                spoken = speak(parent.memory, heard, self._rules.voices, level, end)
                self._remember(parent, spoken.memory)
                self._say(parent, spoken.sayings, score, end)
            self._forget_early(parent, end)
        if level is Level.SEAM:
            self._forward(self._memory.of(level), end)

    def _revise(self, level: Level, parents: Sequence[Parent], end: Instant) -> None:
        """Decide one final pane again; of the newest one also the voices."""
        for parent in parents:
            score, gone = self._score(parent, end)
            published = self._publish(parent, score) if score is not None else end in parent.told
            if not published:
                continue
            if end == self._memory.sources[level].final:
                heard = heard_of(parent.subject, score, gone)
                spoken = speak_again(parent.memory, heard, self._rules.voices, level, end)
                self._remember(parent, spoken.memory)
                self._say(parent, spoken.sayings, score, end)
        if level is Level.SEAM and parents:
            # Also without a new record: unrounded numbers go up, and so does who was forgotten.
            self._forward(parents, end)

    def _score(self, parent: Parent, end: Instant) -> tuple[LevelScore | None, Gones]:
        """What a parent comes to at the end of a final pane."""
        live = self._live_at(parent, end) if self._counts_links(parent) else None
        shares = self._shares_at(parent, end)
        return add_up(parent.subject, parent.level, end, shares, self._rules, live=live)

    def _shares_at(self, parent: Parent, end: Instant) -> list[PartialWire]:
        """The shares in force: of the pane itself, or the last ones of a source that is passed over."""
        shares: list[PartialWire] = []
        for number, source in enumerate(self._memory.sources[parent.level].all):
            own = source.window_end
            if own is None:
                continue
            share = parent.share(min(own, end), number)
            if share is not None:
                shares.append(share if own >= end else carried(share))
        return shares

    def _counts_links(self, parent: Parent) -> bool:
        return parent.level is Level.SEAM and self._registry.population(parent.name) is Population.LINKS

    def _live_at(self, parent: Parent, end: Instant) -> int:
        return sum(source.live_at(end, parent.key_space) for source in self._memory.sources[parent.level].all)

    def _publish(self, parent: Parent, score: LevelScore) -> bool:
        """Write the score record unless it says what the last one said."""
        before = parent.told.get(score.end)
        record = score_record(score, parent.key_space, before.revision + 1 if before else 0, self._rules)
        digest = digest_of(record)
        if before is not None and before.digest == digest:
            return False
        parent.told[score.end] = told_of(record, digest)
        self._memory.touch("told", parent.subject, str(score.end))
        self._put(SCORES, parent.subject, record)
        return True

    # ------------------------------------------------------------------------------------------------- voices

    def _say(self, parent: Parent, sayings: Sequence[Saying], score: LevelScore | None, end: Instant) -> None:
        told = parent.told.get(end)
        recent = parent.recent(end, self._rules.voices.recent_panes, self._rules.pane) if sayings else ()
        for saying in sayings:
            record = voice_record(parent, saying, score, told.revision if told else 0, recent, self._rules)
            self._put(VOICES, parent.subject, record)
            if saying.voice is VoiceName.ALARM and saying.delta in ("voice_raised", "voice_changed"):
                self._effects.urgent = True

    def _remember(self, parent: Parent, memory: VoiceMemory) -> None:
        if memory != parent.memory:
            self._memory.touch("voice", parent.subject)
        parent.memory = memory

    def _speak_early(self, parent: Parent, end: Instant) -> None:
        """Raise the Alarm that is certain before the pane closes, and tell the level above."""
        score = self._early_score(parent, end)
        if score is None:
            return
        heard = heard_of(parent.subject, score, score.gone)
        spoken = speak_early(parent.memory, heard, self._rules.voices, parent.level, end)
        self._remember(parent, spoken.memory)
        self._say(parent, spoken.sayings, score, end)
        if parent.level is Level.SEAM:
            self._forward_early(parent, end, score.scores.rounded().pain)

    def _early_score(self, parent: Parent, end: Instant) -> LevelScore | None:
        """A lower bound of the open pane's pain: who was not heard from in it counts with pain 0."""
        shares: list[PartialWire] = []
        links = self._counts_links(parent)
        live = 0
        sources = self._memory.sources[parent.level]
        for number, source in enumerate(sources.all):
            early = parent.early.get(end, {}).get(number)
            told = source.live_at(end, parent.key_space)
            closed = parent.share(end, number)
            # Of links a closed share counts with its progress only, which says how many there are.
            if closed is not None and (not links or sources.passed(number, end)):
                shares.append(closed)
            elif early is not None:
                if links and early.live is None and source.window_end is None:
                    return None  # Nobody knows yet how many links there are, so nothing is certain.
                shares.append(early)
                told = told if early.live is None else early.live
            elif source.window_end is not None and (last := parent.share(source.window_end, number)) is not None:
                shares.append(painless(last))
            live += told
        score, _ = add_up(parent.subject, parent.level, end, shares, self._rules, live=live if links else None)
        return score

    def _forget_early(self, parent: Parent, end: Instant) -> None:
        for past in [one for one in parent.early if one <= end]:
            for source in parent.early.pop(past):
                self._memory.touch("early", parent.subject, str(past), str(source))
            if parent.early_pain.pop(past, None) is not None:
                self._memory.touch("voice", parent.subject)

    # ------------------------------------------------------------------------------------- to the level above

    def _forward(self, seams: Iterable[Parent], end: Instant) -> None:
        """Write this partition's share of every ecosystem concerned, if it says anything new."""
        for key_space in sorted({parent.key_space for parent in seams}):
            family = [parent for parent in self._memory.of(Level.SEAM) if parent.key_space == key_space]
            scored = [(parent, *self._score(parent, end)) for parent in family]
            gone = seams_gone(scored, end, self._rules)
            children = [(parent, score) for parent, score, _ in scored if score is not None]
            subject = join_subject(Level.ECOSYSTEM, ECOSYSTEM_NAME, key_space or None)
            sent = self._memory.forwarded.setdefault(subject, {})
            before = sent.get(end)
            if before is None and not children and not any(g.forgotten or g.recovered for g in gone):
                continue
            revision = before.revision + 1 if before else 0
            record = share_record(subject, self._partition, end, children, gone, self._rules, revision=revision)
            digest = digest_of(record)
            if before is not None and before.digest == digest:
                continue
            sent[end] = Forwarded(revision, digest)
            self._memory.touch("forwarded", subject, str(end))
            self._put(PARTIALS, _ecosystem_key(key_space), record)

    def _forward_early(self, parent: Parent, end: Instant, pain: float) -> None:
        """Tell the ecosystem at once when a seam's early pain crosses a threshold or has grown much."""
        told = parent.early_pain.get(end, 0.0)
        thresholds = (self._rules.early_share_pain, self._rules.voices.alarm_pain_above)
        crosses = any(told <= threshold < pain for threshold in thresholds)
        if not crosses and not (pain > thresholds[0] and pain >= told + _EARLY_STEP):
            return
        parent.early_pain[end] = pain
        self._memory.touch("voice", parent.subject)
        family = [p for p in self._memory.of(Level.SEAM) if p.key_space == parent.key_space]
        scored = [(p, self._early_score(p, end)) for p in family]
        children = [(p, score) for p, score in scored if score is not None]
        subject = join_subject(Level.ECOSYSTEM, ECOSYSTEM_NAME, parent.key_space or None)
        counts = self._memory.forwarded_early.setdefault(subject, {})
        revision = counts.get(end, 0)
        counts[end] = revision + 1
        self._memory.touch("forwarded_early", subject, str(end))
        gone = seams_gone([], end, self._rules)
        record = share_record(subject, self._partition, end, children, gone, self._rules, revision=revision, early=True)
        self._put(PARTIALS, _ecosystem_key(parent.key_space), record)
        self._effects.urgent = True

    # ------------------------------------------------------------------------------------------ small things

    def _put(self, topic: str, key: str, record: Struct, partition: int | None = None) -> None:
        self._effects.outputs.append(Output(topic, key.encode(), encode(record), partition=partition))


def _ecosystem_key(key_space: str) -> str:
    return f"{Level.ECOSYSTEM.value}@{key_space}" if key_space else Level.ECOSYSTEM.value
