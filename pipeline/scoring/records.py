"""The records of connections: scores and voices as they go on the wire."""

from __future__ import annotations

from typing import Literal, TypeAlias

from schemas.ids import record_id
from schemas.types import Level, VoiceName
from schemas.wire import (
    ContributorWire,
    CountsWire,
    MomentWire,
    OmegasWire,
    ScoreWire,
    ThresholdsWire,
    VoiceMetadataWire,
    VoiceWire,
)

from .chaos import entropy_of
from .connection import ConnectionState
from .evidence import Link
from .past import Past
from .rules import ScoreRules, VoiceRules
from .scores import Causes, causes_at, counted_at, deltas_at, scores_at
from .triad import Scores
from .voices import Cause, Heard, Saying, thresholds, voice_lambda

__all__ = ["heard_at", "score_record", "thresholds_wire", "voice_record"]

_LinkName: TypeAlias = Literal["up", "degraded", "down", "closed", "unknown"]
_LINKS: dict[Link, _LinkName] = {Link.UP: "up", Link.DEGRADED: "degraded", Link.DOWN: "down"}


def score_record(
    state: ConnectionState, number: int, revision: int, scores: Scores, partition: int, rules: ScoreRules, decay: float
) -> ScoreWire:
    """The score record of a connection at the end of the pane ``number``."""
    whole, end = state.whole, (number + 1) * rules.pane
    causes = causes_at(whole, number, rules)
    pain, chaos, trust = scores.rounded()
    return ScoreWire(
        id=record_id("score", state.subject, end, revision),
        subject=state.subject,
        level=Level.CONNECTION,
        window_start=end - rules.pane,
        window_end=end,
        revision=revision,
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=OmegasWire(*(round(omega, 6) for omega in scores[3:])),
        dimension=_dimension(causes),
        counts=CountsWire(*counted_at(whole, number)),
        link_state=_link_state(whole.upto(number, rules, decay)),
        contributors=_contributors(causes, partition),
        entropy=entropy_of(deltas_at(whole, number, rules)),
        experiment_id=state.experiment_id,
    )


def heard_at(
    state: ConnectionState, number: int, scores: Scores, partition: int, rules: ScoreRules, decay: float
) -> Heard:
    """What the voices of a connection are decided from."""
    past = state.whole.upto(number, rules, decay)
    pain, chaos, trust = scores.rounded()
    grains = causes_at(state.whole, number, rules).grains
    first = min(grains, key=lambda grain: (grain.time, grain.event_id, grain.offset), default=None)
    return Heard(
        subject=state.subject,
        pain=pain,
        chaos=chaos,
        trust=trust,
        chaos_omega=round(scores.chaos_omega, 6),
        well=trust > rules.voices.celebration_trust_above,
        origin="" if first is None else f"{partition}-{first.offset}",
        last_success=past.success_at,
        alarm=Cause(past.harm_at),
        concern=Cause(past.failure_at),
        curiosity=Cause(past.anomaly_at),
    )


def voice_record(
    state: ConnectionState,
    saying: Saying,
    number: int,
    revision: int,
    scores: Scores,
    partition: int,
    rules: ScoreRules,
    decay: float,
) -> VoiceWire:
    """One thing a connection says at the end of the pane ``number``, or early in it."""
    causes = causes_at(state.whole, number, rules)
    pain, chaos, trust = scores.rounded()
    recent = [MomentWire(*moment) for moment in state.moments(rules.pane) if moment[0] < saying.window_end]
    if saying.reason != "forgotten":
        recent.append(MomentWire(saying.window_end, pain, chaos, trust))
    seam = _loudest_seam(state, saying.voice, number, rules, decay)
    driving = {VoiceName.ALARM: scores.pain_omega, VoiceName.CURIOSITY: scores.chaos_omega}
    return VoiceWire(
        id=record_id(
            "voice", state.subject, saying.window_end, revision, saying.delta, saying.voice.value, saying.episode_id
        ),
        delta=saying.delta,
        dimension=_dimension(causes),
        omega=round(driving.get(saying.voice, scores.trust_omega), 6),
        lambda_=voice_lambda(saying.voice),
        fractal_metadata=VoiceMetadataWire(pain, chaos, trust, seam),
        subject=state.subject,
        level=Level.CONNECTION,
        voice=saying.voice,
        window_start=saying.window_end - rules.pane,
        window_end=saying.window_end,
        since=saying.since,
        revision=revision,
        episode_id=saying.episode_id,
        previous_episode_id=saying.previous_episode_id,
        previous_voice=saying.previous_voice,
        reason=saying.reason,
        thresholds=thresholds_wire(rules.voices, Level.CONNECTION),
        recent=tuple(recent[-rules.voices.recent_panes :]),
        contributors=_contributors(causes, partition),
        also_held=saying.also_held,
        experiment_id=state.experiment_id,
    )


def thresholds_wire(rules: VoiceRules, level: Level) -> ThresholdsWire:
    """The thresholds of a level, ready for the wire."""
    said = thresholds(rules, level)
    return ThresholdsWire(
        alarm_pain_above=said.alarm_pain_above,
        alarm_clear_pain=said.alarm_clear_pain,
        concern_trust_below=said.concern_trust_below,
        concern_clear_trust=said.concern_clear_trust,
        curiosity_chaos_above=said.curiosity_chaos_above,
        curiosity_clear_chaos=said.curiosity_clear_chaos,
        celebration_trust_above=said.celebration_trust_above,
    )


def _loudest_seam(state: ConnectionState, voice: VoiceName, number: int, rules: ScoreRules, decay: float) -> str:
    """The seam on which the driving score is worst; equal ones by name."""
    if len(state.seams) == 1:
        return next(iter(state.seams))

    def loudness(seam: str) -> tuple[float, float, str]:
        scores = scores_at(state.seams[seam], number, rules, decay)
        first = {VoiceName.ALARM: scores.pain, VoiceName.CURIOSITY: scores.chaos}.get(voice, 1.0 - scores.trust)
        return (-first, -scores.pain, seam)

    return min(state.seams, key=loudness)


def _link_state(past: Past) -> _LinkName:
    if past.path.closed:
        return "closed"
    return "unknown" if past.path.link is None else _LINKS[Link(past.path.link)]


def _dimension(causes: Causes) -> int:
    return min(10, max((grain.dimension for grain in causes.grains), default=1))


def _contributors(causes: Causes, partition: int) -> tuple[ContributorWire, ...]:
    return tuple(
        ContributorWire(grain.event_id, grain.delta, share, partition, grain.offset)
        for grain, share in zip(causes.grains, causes.shares, strict=True)
    )
