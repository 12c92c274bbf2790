"""The facts of an intent as plain scalars: all that a template may see. Time is the intent's, never a clock's."""

from __future__ import annotations

from schemas.intents import IntentRecord, VoiceExcerpt
from schemas.types import Level, Unit, VoiceName, split_subject

from .wording import amount, clock_time, lasted

__all__ = ["GLYPHS", "Scalars", "context_of"]

Scalars = dict[str, str | int | float | bool | None]

GLYPHS: dict[VoiceName, str] = {
    VoiceName.ALARM: "▲",
    VoiceName.CONCERN: "◆",
    VoiceName.CURIOSITY: "?",
    VoiceName.CELEBRATION: "★",
}
_CHILDREN = {Level.SEAM: "links", Level.ECOSYSTEM: "seams"}
_NEXT_STEPS = {
    "page_owner": "page the owner",
    "watch_and_plan": "watch and plan",
    "investigate_anomaly": "look into it",
    "resolve_incident": "close the incident",
}
_HURT = {
    VoiceName.ALARM: "hurt",
    VoiceName.CONCERN: "not trusted",
    VoiceName.CURIOSITY: "behave strangely",
    VoiceName.CELEBRATION: "not trusted",
}
_DRIVERS = {
    VoiceName.ALARM: "pain",
    VoiceName.CONCERN: "trust",
    VoiceName.CURIOSITY: "chaos",
    VoiceName.CELEBRATION: "trust",
}


def context_of(intent: IntentRecord) -> Scalars:
    """Everything a fragment may say."""
    voice = intent.voice
    level, name = split_subject(voice.subject)
    driver = _DRIVERS[voice.voice]
    return {
        "action": intent.action,
        "why": intent.why,
        "voice": voice.voice.value,
        "glyph": GLYPHS[voice.voice],
        "told_voice": None if intent.told_voice is None else intent.told_voice.value,
        "level": level.value,
        "name": name,
        "driver": driver,
        "driver_named": driver.capitalize(),
        "driver_score": _exactly(getattr(voice, driver), voice.threshold),
        "stands": _stands(voice, getattr(voice, driver)),
        "threshold": amount(voice.threshold),
        "pain": amount(voice.pain),
        "chaos": amount(voice.chaos),
        "trust": amount(voice.trust),
        "moved": _moved(voice, driver),
        "peak_pain": amount(intent.peak_pain),
        "omega": amount(voice.omega),
        "next_step": _NEXT_STEPS.get(voice.lambda_, voice.lambda_.replace("_", " ")),
        "children": voice.children,
        "children_hurt": _hurt(voice),
        "hurt_word": _HURT[voice.voice],
        "children_word": _CHILDREN.get(voice.level, "children"),
        "worst": voice.worst_child,
        "since": clock_time(intent.since),
        "so_far": lasted(intent.created - intent.since),
        "at": clock_time(intent.created),
        "duration": None if intent.duration is None else lasted(intent.duration),
        "clear_reason": voice.reason,
        "firing": intent.firing,
        "muted": intent.muted,
        "others": ", ".join(subject for subject in intent.subjects if subject != voice.subject) or None,
        "flapping": intent.flapping,
        "stale": intent.stale,
    }


def _exactly(score: Unit, threshold: Unit) -> str:
    """The score in two digits, or in all where two would look like the threshold itself."""
    text = amount(score)
    if text != amount(threshold) or score == threshold:
        return text
    return f"{score:.6f}".rstrip("0").removeprefix("0")


def _stands(voice: VoiceExcerpt, score: Unit) -> str:
    """Where the score stands to the raise level. Between raise and clear level a voice still holds."""
    side = "below" if voice.voice is VoiceName.CONCERN else "above"
    beyond = score < voice.threshold if side == "below" else score > voice.threshold
    return (
        f"is {side} {amount(voice.threshold)}"
        if beyond
        else f"is no longer {side} {amount(voice.threshold)}, not calm yet"
    )


def _moved(voice: VoiceExcerpt, driver: str) -> str:
    """The score that drives the voice, from the pane before to now: ``.68 → .81``."""
    now = amount(getattr(voice, driver))
    before = [moment for moment in voice.recent if moment.window_end < voice.window_end]
    return f"{amount(getattr(before[-1], driver))} → {now}" if before else now


def _hurt(voice: VoiceExcerpt) -> int | None:
    over = voice.children_over
    if over is None or voice.children is None:
        return None
    if voice.voice is VoiceName.ALARM:
        return over.pain
    return over.chaos if voice.voice is VoiceName.CURIOSITY else over.distrust
