"""The records a roll-up writes: scores and voices of levels, its share of the level above, how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import structs

from pipeline.scoring.power_mean import EMPTY, PowerSum, add
from pipeline.scoring.rules import ScoreRules, VoiceRules
from pipeline.scoring.voices import Cause, Heard, Saying, thresholds, voice_lambda
from schemas.codec import encode
from schemas.ids import record_id
from schemas.types import Instant, Level, VoiceName
from schemas.wire import (
    ContributorWire,
    GoneWire,
    MomentWire,
    OmegasWire,
    OverWire,
    PartialWire,
    PowerTermsWire,
    ProgressWire,
    ScoreWire,
    ThresholdsWire,
    VoiceMetadataWire,
    VoiceWire,
    WorstChildWire,
)

from .merging import Certainties, Gones, LevelScore, Triple, heaviest
from .parents import Parent, Told

__all__ = [
    "digest_of",
    "heard_of",
    "progress_record",
    "score_record",
    "seams_gone",
    "share_record",
    "told_of",
    "voice_record",
]

_NOTHING = Triple(0.0, 0.0, 0.5)
"""What the voice record of a parent without children shows."""


def score_record(score: LevelScore, key_space: str, revision: int, rules: ScoreRules) -> ScoreWire:
    """The record of one pane."""
    pain, chaos, trust = score.scores.rounded()
    return ScoreWire(
        id=record_id("score", score.subject, score.end, revision),
        subject=score.subject,
        level=score.level,
        window_start=score.end - rules.pane,
        window_end=score.end,
        revision=revision,
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=OmegasWire(*_rounded(score.omegas)),
        dimension=score.dimension,
        counts=score.counts,
        contributors=_contributors(score),
        entropy=score.entropy,
        children=score.children,
        children_over=score.over,
        worst_child=score.worst.subject if score.worst else None,
        experiment_id=key_space or None,
    )


def digest_of(record: ScoreWire | PartialWire) -> str:
    """What a record says, whatever its revision is."""
    return blake2b(encode(structs.replace(record, id="", revision=0)), digest_size=12).hexdigest()


def heard_of(subject: str, score: LevelScore | None, gone: Gones) -> Heard:
    """What the voices are decided from; without a score nothing can hold."""
    alarm, concern, curiosity = (g.forgotten > g.recovered for g in (gone.pain, gone.distrust, gone.chaos))
    if score is None:
        return Heard(
            subject,
            pain=0.0,
            chaos=0.0,
            trust=1.0,
            alarm=Cause(forgotten=alarm),
            concern=Cause(forgotten=concern),
            curiosity=Cause(forgotten=curiosity),
        )
    pain, chaos, trust = score.scores.rounded()
    first = min(score.contributors, key=lambda c: (c.time, c.event_id, c.offset), default=None)
    return Heard(
        subject,
        pain=pain,
        chaos=chaos,
        trust=trust,
        chaos_omega=round(score.omegas.chaos, 6),
        well=score.well,
        origin=f"{first.partition}-{first.offset}" if first else "",
        last_success=score.last_success,
        alarm=Cause(score.last_harm, alarm),
        concern=Cause(score.last_failure, concern),
        curiosity=Cause(score.last_anomaly, curiosity),
    )


def voice_record(
    parent: Parent,
    saying: Saying,
    score: LevelScore | None,
    revision: int,
    recent: tuple[MomentWire, ...],
    rules: ScoreRules,
) -> VoiceWire:
    """One thing a level says."""
    scores = score.scores.rounded() if score else _NOTHING
    omegas = _rounded(score.omegas) if score else Certainties(1.0, 1.0, 1.0)
    driving = {VoiceName.ALARM: omegas.pain, VoiceName.CURIOSITY: omegas.chaos}.get(saying.voice, omegas.trust)
    return VoiceWire(
        id=record_id("voice", parent.subject, saying.window_end, revision, saying.delta, saying.voice.value),
        delta=saying.delta,
        dimension=score.dimension if score else 1,
        omega=driving,
        lambda_=voice_lambda(saying.voice),
        fractal_metadata=VoiceMetadataWire(
            scores.pain,
            scores.chaos,
            scores.trust,
            parent.name if parent.level is Level.SEAM else Level.ECOSYSTEM.value,
        ),
        subject=parent.subject,
        level=parent.level,
        voice=saying.voice,
        window_start=saying.window_end - rules.pane,
        window_end=saying.window_end,
        since=saying.since,
        revision=revision,
        episode_id=saying.episode_id,
        previous_episode_id=saying.previous_episode_id,
        previous_voice=saying.previous_voice,
        reason=saying.reason,
        thresholds=_thresholds(rules.voices, parent.level),
        recent=recent,
        children=score.children if score else 0,
        children_over=score.over if score else OverWire(0, 0, 0),
        worst_child=score.worst.subject if score and score.worst else None,
        contributors=_contributors(score) if score else (),
        also_held=saying.also_held,
        experiment_id=parent.key_space or None,
    )


def seams_gone(seams: Sequence[tuple[Parent, LevelScore | None, Gones]], end: Instant, rules: ScoreRules) -> Gones:
    """Of the seams over a threshold one pane earlier: forgotten when most of those children were, else recovered."""
    forgotten, recovered = [0, 0, 0], [0, 0, 0]
    for parent, score, inside in seams:
        before = parent.told.get(end - rules.pane)
        if before is None:
            continue
        was, now = _over(before.scores, rules.voices), _over(score.scores.rounded() if score else None, rules.voices)
        for index, gone in enumerate(inside):
            if was[index] and not now[index]:
                count = forgotten if gone.forgotten > gone.recovered else recovered
                count[index] += 1
    return Gones(*(GoneWire(*pair) for pair in zip(forgotten, recovered, strict=True)))


def share_record(
    ecosystem: str,
    source: int,
    end: Instant,
    seams: Sequence[tuple[Parent, LevelScore]],
    gone: Gones,
    rules: ScoreRules,
    *,
    revision: int,
    early: bool = False,
) -> PartialWire:
    """This partition's share of the ecosystem: its seams as children. Shape: seams in the order of their names."""
    p = rules.power
    pain = chaos = distrust = EMPTY
    over = [0, 0, 0]
    deltas: dict[str, int] = {}
    for parent, score in seams:
        weight = rules.seam_weights.get(parent.name, 1.0)
        pain = add(pain, score.scores.pain, score.omegas.pain, p=p, weight=weight)
        chaos = add(chaos, score.scores.chaos, score.omegas.chaos, p=p, weight=weight)
        distrust = add(distrust, max(0.0, 1.0 - score.scores.trust), score.omegas.trust, p=p, weight=weight)
        for index, is_over in enumerate(_over(score.scores.rounded(), rules.voices)):
            over[index] += is_over
        for delta, number in score.deltas.items():
            deltas[delta] = deltas.get(delta, 0) + number
    scores = [score for _, score in seams]
    mass = sum(score.mass for score in scores)
    children = [WorstChildWire(s.subject, *_pain_and_trust(s.scores.rounded())) for s in scores]
    return PartialWire(
        id=record_id("partial", ecosystem, source, end, "early" if early else "closed", revision),
        parent=ecosystem,
        level=Level.ECOSYSTEM,
        source=source,
        window_start=end - rules.pane,
        window_end=end,
        revision=revision,
        early=early,
        children=len(scores),
        weight=pain.weight,
        pain=_terms(pain),
        chaos=_terms(chaos),
        distrust=_terms(distrust),
        over_pain=over[0],
        over_chaos=over[1],
        over_distrust=over[2],
        healthy=sum(score.well for score in scores),
        worst=min(children, key=lambda w: (-w.pain, w.trust, w.subject), default=None),
        dimension=max((score.dimension for score in scores), default=1),
        events=sum(score.counts.events for score in scores),
        successes=sum(score.counts.successes for score in scores),
        failures=sum(score.counts.failures for score in scores),
        anomalies=sum(score.counts.anomalies for score in scores),
        contributors=heaviest([c for score in scores for c in score.contributors], mass, rules.contributors),
        mass=mass,
        anomaly_mass=sum(score.anomaly_mass for score in scores),
        deltas=deltas,
        last_success=max((s.last_success for s in scores if s.last_success is not None), default=None),
        last_harm=max((s.last_harm for s in scores if s.last_harm is not None), default=None),
        last_anomaly=max((s.last_anomaly for s in scores if s.last_anomaly is not None), default=None),
        last_failure=max((s.last_failure for s in scores if s.last_failure is not None), default=None),
        gone_pain=gone.pain,
        gone_chaos=gone.chaos,
        gone_distrust=gone.distrust,
    )


def progress_record(source: int, end: Instant) -> ProgressWire:
    """That this partition has closed the pane of its seams that ends here."""
    return ProgressWire(
        id=record_id("progress", Level.ECOSYSTEM.value, source, end),
        level=Level.ECOSYSTEM,
        source=source,
        window_end=end,
        watermark=end,
    )


def told_of(record: ScoreWire, digest: str) -> Told:
    """What is remembered of a published record."""
    return Told(record.revision, digest, Triple(record.pain, record.chaos, record.trust))


def _over(scores: Triple | None, rules: VoiceRules) -> tuple[bool, bool, bool]:
    """Over the threshold of pain, chaos, distrust."""
    if scores is None:
        return False, False, False
    return (
        scores.pain > rules.alarm_pain_above,
        scores.chaos > rules.curiosity_chaos_above,
        scores.trust < rules.concern_trust_below,
    )


def _pain_and_trust(scores: Triple) -> tuple[float, float]:
    return scores.pain, scores.trust


def _terms(total: PowerSum) -> PowerTermsWire:
    return PowerTermsWire(total.sum, total.omega_sum)


def _rounded(omegas: Certainties) -> Certainties:
    return Certainties(*(min(1.0, max(0.0, round(omega, 6))) for omega in omegas))


def _contributors(score: LevelScore) -> tuple[ContributorWire, ...]:
    return tuple(
        ContributorWire(c.event_id, c.delta, share, c.partition, c.offset)
        for c, share in zip(score.contributors, score.shares, strict=True)
    )


def _thresholds(rules: VoiceRules, level: Level) -> ThresholdsWire:
    said: Mapping[str, float] = thresholds(rules, level).model_dump()
    return ThresholdsWire(**said)
