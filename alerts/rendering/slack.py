"""Slack messages: blocks built by code, fragments in them, fitted into Slack's limits.

Source: alerts.md 8; docs.slack.dev, Block Kit reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.intents import IntentRecord
from schemas.types import VoiceName

from .sandbox import plain, slack_escaped
from .wording import amount, clock_time, fit, sparkline
from .wordings import worded

__all__ = ["METADATA_TYPE", "SlackMessage", "metadata_of", "reply_message", "root_message"]

METADATA_TYPE = "iskra_notification"
_HEADER = 150
_SECTION = 2_900
_CONTEXT = 1_900
_TEXT = 3_000
_CHART_POINTS = 20
_CHART_TITLE = 50
_LABEL = 20
_GREEN = "#2EB67D"
_COLOURS: dict[VoiceName, str] = {
    VoiceName.ALARM: "#D14A00",
    VoiceName.CONCERN: "#F2C200",
    VoiceName.CURIOSITY: "#8064D8",
    VoiceName.CELEBRATION: _GREEN,
}
_DUPLICATE = "possible duplicate: the connection was lost while this was being posted"


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """Arguments of chat.postMessage or chat.update."""

    text: str
    """What notifications and screen readers say."""
    blocks: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    """The coloured bar."""


def metadata_of(intent: IntentRecord) -> dict[str, Any]:
    """How a message is found again when nobody knows whether it was posted."""
    return {
        "event_type": METADATA_TYPE,
        "event_payload": {
            "notification_id": intent.notification_id,
            "group_episode": intent.group_episode,
            "sequence": intent.sequence,
        },
    }


def root_message(
    intent: IntentRecord, *, chart: bool, minimal: bool = False, duplicate: bool = False, replaces: str | None = None
) -> SlackMessage:
    """The one message of a group episode as it should look now.

    Shape: header, section, chart (a text row if ``chart`` is off), context, and a coloured bar with the state.
    ``replaces`` is a link to a message that could not be edited any more.
    """
    words = worded(intent, slack_escaped)
    text = fit(f"{words.title}: {words.summary}", _TEXT)
    if duplicate:
        text = f"{text} ({_DUPLICATE})"
    if minimal:
        return SlackMessage(text, [], [])
    section = f"*{words.summary}*\n{words.body}"
    footer = words.footer
    if replaces is not None:
        footer += f" · goes on from <{replaces}|an earlier message>"
    if duplicate:
        footer += f" · {_DUPLICATE}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": fit(worded(intent, plain).title, _HEADER)}},
        {"type": "section", "text": {"type": "mrkdwn", "text": fit(section, _SECTION)}},
    ]
    if len(intent.voice.recent) > 1:
        blocks.append(_chart(intent) if chart else _text_chart(intent))
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": fit(footer, _CONTEXT)}]})
    state = _state(intent)
    return SlackMessage(text, blocks, [{"color": _colour(intent), "fallback": state, "text": state}])


def reply_message(intent: IntentRecord, *, minimal: bool = False, duplicate: bool = False) -> SlackMessage:
    """The reply in the thread of a note or of good news."""
    text = fit(worded(intent, slack_escaped).reply, _TEXT)
    if duplicate:
        text = f"{text} ({_DUPLICATE})"
    blocks = [] if minimal else [{"type": "section", "text": {"type": "mrkdwn", "text": fit(text, _SECTION)}}]
    return SlackMessage(text, blocks, [])


def _over(intent: IntentRecord) -> bool:
    return intent.action in {"resolve", "good"}


def _colour(intent: IntentRecord) -> str:
    return _GREEN if _over(intent) else _COLOURS[intent.voice.voice]


def _state(intent: IntentRecord) -> str:
    if intent.action == "good":
        return "verified"
    if intent.action == "resolve":
        return "over"
    if intent.stale:
        return "no news"
    return "flapping" if intent.flapping else "going on"


def _chart(intent: IntentRecord) -> dict[str, Any]:
    """A line chart of the last panes. Labels must be unique and the same in each series."""
    moments = {clock_time(moment.window_end)[:8]: moment for moment in intent.voice.recent[-_CHART_POINTS:]}
    return {
        "type": "data_visualization",
        "title": fit(f"{plain(intent.voice.subject)}", _CHART_TITLE),
        "chart": {
            "type": "line",
            "series": [
                {
                    "name": name,
                    "data": [
                        {"label": fit(label, _LABEL), "value": round(getattr(moment, name), 2)}
                        for label, moment in moments.items()
                    ],
                }
                for name in ("pain", "chaos", "trust")
            ],
            "axis_config": {"categories": list(moments)},
        },
    }


def _text_chart(intent: IntentRecord) -> dict[str, Any]:
    rows = []
    for name in ("pain", "chaos", "trust"):
        values = [getattr(moment, name) for moment in intent.voice.recent[-_CHART_POINTS:]]
        rows.append(f"`{name:<5} {sparkline(values)} {amount(values[-1])}`")
    return {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(rows)}}
