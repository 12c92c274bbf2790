"""Slack by bot token: one message per group episode, edited in place; notes and good news in its thread.

Source: alerts.md 7, 8; docs.slack.dev, chat.postMessage, chat.update, conversations.history.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import Any

from aiohttp import ClientSession
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from alerts.calling import CallBody
from alerts.rendering.slack import SlackMessage, metadata_of, reply_message, root_message
from schemas.intents import IntentRecord

from .base import Delivered, Outcome, Refused, RefusedClass, class_of_status, possibly_seen, redacted
from .http import refusal_of

__all__ = ["ERROR_CLASSES", "SlackNotifier"]

ERROR_CLASSES: dict[str, RefusedClass] = {
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), "throttled"),
    **dict.fromkeys(("internal_error", "fatal_error", "service_unavailable", "request_timeout"), "transient"),
    **dict.fromkeys(
        (
            "invalid_auth",
            "not_authed",
            "account_inactive",
            "token_revoked",
            "token_expired",
            "no_permission",
            "missing_scope",
            "not_allowed_token_type",
            "channel_not_found",
            "not_in_channel",
            "is_archived",
            "org_login_required",
            "ekm_access_denied",
            "access_denied",
            "restricted_action",
            "team_access_not_granted",
        ),
        "config",
    ),
    **dict.fromkeys(
        (
            "invalid_blocks",
            "invalid_blocks_format",
            "msg_blocks_too_long",
            "msg_too_long",
            "no_text",
            "invalid_attachments",
            "invalid_metadata_format",
            "metadata_too_large",
        ),
        "payload",
    ),
}
_EDIT_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_LOOK_BACK = 15
"""What Slack grants to every app in one page."""
_CHART_OFF_S = 24 * 3_600


class _Said(Exception):  # noqa: N818 - not an error: a refusal on its way out of this class
    """Slack's refusal, already classified."""

    def __init__(self, refused: Refused, error: str) -> None:
        super().__init__(error)
        self.refused = refused
        self.error = error


class SlackNotifier:
    """One channel. Remembers only whether this workspace takes charts."""

    def __init__(self, *, token: str, channel: str, base_url: str, session: ClientSession) -> None:
        """The session is the guarded one."""
        quiet = logging.getLogger("alerts.notifiers.slack_sdk")
        # The SDK formats every request for a debug line unless its logger says that nobody listens.
        quiet.setLevel(logging.WARNING)
        self._client = AsyncWebClient(token=token, base_url=base_url, session=session, retry_handlers=[], logger=quiet)
        # The SDK takes a proxy from the environment in its constructor, whatever the session says.
        self._client.proxy = None
        self._secrets = (token,)
        self._channel = channel
        self._charts_from = 0.0

    def __repr__(self) -> str:
        """Without the token."""
        return f"SlackNotifier(channel={self._channel!r})"

    async def send(self, order: CallBody) -> Outcome:
        """Deliver it. Never raises."""
        try:
            return await self._send(order)
        except _Said as said:
            return said.refused
        except Exception as error:  # noqa: BLE001 - the promise of a notifier: any failure is a value
            return refusal_of(error, self._secrets)

    async def _send(self, order: CallBody) -> Outcome:
        intent = order.intent
        if intent.action in {"open", "odd"}:
            return await self._post_root(order)
        root = dict(order.ids)
        try:
            digest = await self._edit_root(order, root)
        except _Said as said:
            if said.error not in _EDIT_GONE:
                raise
            # A message that cannot be edited any more is followed by a new one that links back to it.
            moved = await self._post_root(order, replaces=await self._link(root))
            root, digest = dict(moved.ids), moved.body_sha256 or ""
        if intent.action in {"note", "good"}:
            digest = await self._reply(order, root)
        return Delivered(root, digest)

    async def _post_root(self, order: CallBody, *, replaces: str | None = None) -> Delivered:
        if order.look_first:
            found = await self._find(order.intent, None)
            if found is not None:
                return Delivered({"channel": self._channel_id(order, found), "ts": str(found["ts"])})
        message = self._root(order, replaces=replaces)
        try:
            answer = await self._post(message, order.intent, None)
        except _Said as said:
            if not self._chart_refused(said, message):
                raise
            message = self._root(order, replaces=replaces)
            answer = await self._post(message, order.intent, None)
        return Delivered({"channel": str(answer["channel"]), "ts": str(answer["ts"])}, _digest(message))

    async def _edit_root(self, order: CallBody, root: dict[str, str]) -> str:
        message = self._root(order)
        try:
            await self._update(message, order.intent, root)
        except _Said as said:
            if not self._chart_refused(said, message):
                raise
            message = self._root(order)
            await self._update(message, order.intent, root)
        return _digest(message)

    async def _reply(self, order: CallBody, root: dict[str, str]) -> str:
        if order.look_first and await self._find(order.intent, root) is not None:
            return ""
        message = reply_message(order.intent, minimal=order.minimal, duplicate=order.look_first)
        await self._post(message, order.intent, root["ts"])
        return _digest(message)

    def _root(self, order: CallBody, *, replaces: str | None = None) -> SlackMessage:
        duplicate = order.look_first and (replaces is not None or order.intent.action in {"open", "odd"})
        chart = asyncio.get_running_loop().time() >= self._charts_from
        return root_message(order.intent, chart=chart, minimal=order.minimal, duplicate=duplicate, replaces=replaces)

    def _chart_refused(self, said: _Said, message: SlackMessage) -> bool:
        """Whether the same message without its chart is worth a try; remembered for a day."""
        charted = any(block["type"] == "data_visualization" for block in message.blocks)
        if said.error != "invalid_blocks" or not charted:
            return False
        self._charts_from = asyncio.get_running_loop().time() + _CHART_OFF_S
        return True

    async def _post(self, message: SlackMessage, intent: IntentRecord, thread: str | None) -> dict[str, Any]:
        # An edit notifies nobody, so a step up to a louder voice is shown in the channel as well.
        broadcast = True if thread is not None and intent.why == "escalated" else None
        return await self._call(
            self._client.chat_postMessage(
                channel=self._channel,
                text=message.text,
                blocks=message.blocks or None,
                attachments=message.attachments or None,
                metadata=metadata_of(intent),
                thread_ts=thread,
                reply_broadcast=broadcast,
                unfurl_links=False,
                unfurl_media=False,
            )
        )

    async def _update(self, message: SlackMessage, intent: IntentRecord, root: dict[str, str]) -> None:
        await self._call(
            self._client.chat_update(
                channel=root.get("channel", self._channel),
                ts=root.get("ts", ""),
                text=message.text,
                blocks=message.blocks,
                attachments=message.attachments,
                metadata=metadata_of(intent),
            )
        )

    async def _find(self, intent: IntentRecord, root: dict[str, str] | None) -> dict[str, Any] | None:
        """The message of this very intent among the last ones of the channel or the thread."""
        try:
            if root is None:
                page = await self._call(
                    self._client.conversations_history(
                        channel=self._channel, limit=_LOOK_BACK, include_all_metadata=True
                    )
                )
            else:
                page = await self._call(
                    self._client.conversations_replies(
                        channel=root["channel"], ts=root["ts"], limit=_LOOK_BACK, include_all_metadata=True
                    )
                )
        except _Said as said:
            if said.error == "missing_scope":
                return None
            raise
        for message in page.get("messages", []):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("notification_id") == intent.notification_id and (
                root is None or message.get("ts") != root["ts"]
            ):
                return dict(message)
        return None

    async def _link(self, root: dict[str, str]) -> str | None:
        try:
            answer = await self._call(self._client.chat_getPermalink(channel=root["channel"], message_ts=root["ts"]))
        except (_Said, KeyError):
            return None
        return str(answer.get("permalink") or "") or None

    def _channel_id(self, order: CallBody, found: dict[str, Any]) -> str:
        return str(found.get("channel") or order.ids.get("channel") or self._channel)

    async def _call(self, request: Any) -> dict[str, Any]:
        try:
            answer = await request
        except SlackApiError as error:
            raise self._classified(error) from None
        return dict(answer.data)

    def _classified(self, error: SlackApiError) -> _Said:
        response = error.response
        status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
        data = getattr(response, "data", None)
        name = str(data.get("error") or "") if isinstance(data, dict) else ""
        kind = ERROR_CLASSES.get(name)
        if kind is None or status != 200:
            kind = class_of_status(status) if status != 200 else "unknown"
            kind = "unknown" if kind == "payload" else kind
        headers = getattr(response, "headers", None) or {}
        text = redacted(f"status {status} {name or 'without a readable error'}", self._secrets)
        refused = Refused(kind, text, headers.get("Retry-After"), seen=possibly_seen(kind))
        return _Said(refused, name)


def _digest(message: SlackMessage) -> str:
    body = json.dumps([message.text, message.blocks, message.attachments], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()
