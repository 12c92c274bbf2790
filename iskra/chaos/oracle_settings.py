"""The scoring's rules under the oracle's names: the oracle imports nothing of the pipeline, so somebody translates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.scoring.rules import ScoreRules

__all__ = ["oracle_settings"]


def oracle_settings(rules: ScoreRules) -> Mapping[str, Any]:
    """What the oracle reckons with, and what the checker is to know of publishing; plain values, for ``run.json``."""
    voices = rules.voices
    return {
        "emit": rules.emit,
        "changed_by": rules.changed_by,
        "idle": rules.idle_timeout,
        "claims": rules.claims,
        "pane": rules.pane,
        "lag": rules.out_of_orderness,
        "grace": rules.grace,
        "saved_behind": rules.late_horizon,
        "hole": rules.hole,
        "hold": rules.hold,
        "dedup_horizon": rules.dedup_horizon,
        "silence_after": rules.silence_after,
        "forget_after": rules.forget_after,
        "forget_closed_after": rules.forget_closed_after,
        "evidence_for": rules.touch,
        "alarm_share": rules.alarm_share,
        "max_seams": rules.max_seams,
        "min_children": rules.min_children,
        "seam_weights": dict(rules.seam_weights),
        "alarm_pain_above": voices.alarm_pain_above,
        "alarm_clear_pain": voices.alarm_clear_pain,
        "alarm_clear_pain_levels": voices.level_alarm_clear_pain,
        "concern_trust_below": voices.concern_trust_below,
        "concern_clear_trust": voices.concern_clear_trust,
        "curiosity_chaos_above": voices.curiosity_chaos_above,
        "curiosity_clear_chaos": voices.curiosity_clear_chaos,
        "celebration_trust_above": voices.celebration_trust_above,
        "celebration_calm": voices.celebration_wait,
        "waits": {
            "Alarm": voices.alarm_wait,
            "Concern": voices.concern_wait,
            "Curiosity": voices.curiosity_wait,
            "Celebration": voices.celebration_wait,
        },
    }
