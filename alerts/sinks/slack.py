"""Slack as far as it matters to a poster: messages, threads, limits, errors. No HTTP here.

Source: docs.slack.dev: rate limits, chat.postMessage, chat.update, conversations.history, Block Kit reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SlackSink"]

_TEXT = 40_000
_BLOCKS = 50
_HEADER = 150
_SECTION = 3_000
_FIELDS = 10
_FIELD = 2_000
_CONTEXT_ELEMENTS = 10
_ALL_BLOCKS = 13_200
"""Characters of all blocks together; undocumented, seen in bolt-js #2509."""
_CHART = {"title": 50, "series": 6, "points": 20, "label": 20}
_CHARTS = 2
_EDITS_A_MINUTE = 50
_HISTORY_PAGE = 15
_MINUTE = 60.0


class SlackSink:
    """One workspace. ``call`` answers like Slack: status, headers, body."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        tokens: frozenset[str] = frozenset(),
        channels: frozenset[str] = frozenset(),
        burst: int = 3,
        charts: bool = True,
        can_read: bool = True,
    ) -> None:
        """Empty sets accept any token that looks like one and any channel. ``can_read`` is the history scope."""
        self._clock = clock
        self._tokens = tokens
        self._channels = channels
        self._burst = burst
        self._charts = charts
        self._can_read = can_read
        self._marks: dict[str, float] = {}
        self._edits: list[float] = []
        self._serial = 0
        self.messages: list[dict[str, Any]] = []

    def call(self, method: str, token: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Answer one method."""
        if not token:
            return _refused("not_authed")
        if (self._tokens and token not in self._tokens) or not token.startswith("xox"):
            return _refused("invalid_auth")
        if method == "auth.test":
            return 200, {}, {"ok": True, "team": "sink", "team_id": "T0SINK", "user": "iskra", "bot_id": "B0SINK"}
        channel = str(arguments.get("channel", ""))
        if not channel or (self._channels and channel not in self._channels):
            return _refused("channel_not_found")
        handlers = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "chat.getPermalink": self._permalink,
        }
        if method not in handlers:
            return _refused("unknown_method")
        return handlers[method](channel, arguments)

    def state(self) -> list[dict[str, Any]]:
        """Root messages in order, each with its thread."""
        roots = [message for message in self.messages if "thread_ts" not in message]
        return [
            {**root, "replies": [reply for reply in self.messages if reply.get("thread_ts") == root["ts"]]}
            for root in roots
        ]

    def _post(self, channel: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        now = self._clock()
        mark = self._marks.get(channel, 0.0)
        if mark - (self._burst - 1) > now:
            return 429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}
        error = self._fault_in(arguments)
        if error is not None:
            return _refused(error)
        thread = arguments.get("thread_ts")
        if thread is not None and self._found(channel, str(thread)) is None:
            return _refused("thread_not_found")
        self._marks[channel] = max(mark, now) + 1.0
        self._serial += 1
        message: dict[str, Any] = {
            "channel": channel,
            "ts": f"{int(now)}.{self._serial:06d}",
            **_content(arguments),
            "posted_at": now,
            "first_text": str(arguments.get("text") or ""),
            "edits": 0,
        }
        if thread is not None:
            message["thread_ts"] = str(thread)
            message["broadcast"] = bool(arguments.get("reply_broadcast", False))
        self.messages.append(message)
        return 200, {}, {"ok": True, "channel": channel, "ts": message["ts"], "message": dict(message)}

    def _update(self, channel: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        now = self._clock()
        self._edits = [at for at in self._edits if now - at < _MINUTE]
        if len(self._edits) >= _EDITS_A_MINUTE:
            return 429, {"Retry-After": str(int(_MINUTE - (now - self._edits[0])) + 1)}, _RATELIMITED
        message = self._found(channel, str(arguments.get("ts", "")))
        if message is None:
            return _refused("message_not_found")
        error = self._fault_in(arguments)
        if error is not None:
            return _refused(error)
        self._edits.append(now)
        message.update(_content(arguments))
        message["edits"] += 1
        return 200, {}, {"ok": True, "channel": channel, "ts": message["ts"], "text": message["text"]}

    def _history(self, channel: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        shown = [
            message
            for message in self.messages
            if message["channel"] == channel and ("thread_ts" not in message or message.get("broadcast"))
        ]
        return self._page(list(reversed(shown)), arguments)

    def _replies(self, channel: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        root = str(arguments.get("ts", ""))
        if self._found(channel, root) is None:
            return _refused("thread_not_found")
        shown = [message for message in self.messages if root in {message["ts"], message.get("thread_ts")}]
        return self._page(shown, arguments)

    def _page(
        self, messages: list[dict[str, Any]], arguments: Mapping[str, Any]
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        if not self._can_read:
            return _refused("missing_scope")
        limit = min(int(arguments.get("limit", _HISTORY_PAGE)), _HISTORY_PAGE)
        with_metadata = str(arguments.get("include_all_metadata", "")).lower() in {"1", "true"}
        hidden = {"edits", "channel"} if with_metadata else {"edits", "channel", "metadata"}
        page = [{name: value for name, value in message.items() if name not in hidden} for message in messages[:limit]]
        return 200, {}, {"ok": True, "messages": page, "has_more": len(messages) > limit}

    def _permalink(self, channel: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        ts = str(arguments.get("message_ts", ""))
        if self._found(channel, ts) is None:
            return _refused("message_not_found")
        link = f"https://sink.slack.example/archives/{channel}/p{ts.replace('.', '')}"
        return 200, {}, {"ok": True, "channel": channel, "permalink": link}

    def _found(self, channel: str, ts: str) -> dict[str, Any] | None:
        return next(
            (message for message in self.messages if message["channel"] == channel and message["ts"] == ts), None
        )

    def _fault_in(self, arguments: Mapping[str, Any]) -> str | None:
        """What Slack would refuse in a message."""
        text, blocks = str(arguments.get("text") or ""), arguments.get("blocks") or []
        if not text and not blocks:
            return "no_text"
        if len(text) > _TEXT:
            return "msg_too_long"
        if not isinstance(blocks, list) or len(blocks) > _BLOCKS:
            return "invalid_blocks"
        if not all(isinstance(block, dict) and self._fits(block) for block in blocks):
            return "invalid_blocks"
        if sum(block.get("type") == "data_visualization" for block in blocks) > _CHARTS:
            return "invalid_blocks"
        if sum(len(_text_of(block)) for block in blocks) > _ALL_BLOCKS:
            return "msg_blocks_too_long"
        return None

    def _fits(self, block: dict[str, Any]) -> bool:
        kind = block.get("type")
        if kind == "header":
            text = block.get("text") or {}
            return text.get("type") == "plain_text" and 0 < len(str(text.get("text", ""))) <= _HEADER
        if kind == "section":
            fields = block.get("fields") or []
            body = str((block.get("text") or {}).get("text", ""))
            return (
                (0 < len(body) <= _SECTION or bool(fields))
                and len(fields) <= _FIELDS
                and all(len(str(field.get("text", ""))) <= _FIELD for field in fields)
            )
        if kind == "context":
            elements = block.get("elements") or []
            return 0 < len(elements) <= _CONTEXT_ELEMENTS and all(element.get("text") for element in elements)
        if kind == "data_visualization":
            return self._charts and _chart_fits(block)
        return kind in {"divider", "actions"}


_RATELIMITED = {"ok": False, "error": "ratelimited"}


def _refused(error: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    return 200, {}, {"ok": False, "error": error}


def _content(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text": arguments.get("text") or "",
        "blocks": arguments.get("blocks") or [],
        "attachments": arguments.get("attachments") or [],
        "metadata": arguments.get("metadata") or {},
    }


def _text_of(block: dict[str, Any]) -> str:
    texts = [block.get("text"), *(block.get("fields") or []), *(block.get("elements") or [])]
    return "".join(str(text.get("text", "")) for text in texts if isinstance(text, dict))


def _chart_fits(block: dict[str, Any]) -> bool:
    chart = block.get("chart") or {}
    series = chart.get("series") or []
    categories = (chart.get("axis_config") or {}).get("categories") or []
    return (
        0 < len(str(block.get("title", ""))) <= _CHART["title"]
        and chart.get("type") == "line"
        and 0 < len(series) <= _CHART["series"]
        and 0 < len(categories) <= _CHART["points"]
        and len(set(categories)) == len(categories)
        and all([point.get("label") for point in one.get("data", [])] == categories for one in series)
        and all(len(str(label)) <= _CHART["label"] for label in categories)
    )
