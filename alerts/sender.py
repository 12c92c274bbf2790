"""The sender: carries out calls. The one place where an intent, a receiver's secret and the network meet."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO, TypeAlias

from aiohttp import ClientSession
from pydantic import ValidationError

from pipeline.runtime.contract import Answer, Call

from .calling import AnswerBody, CallBody
from .notifiers.base import Delivered, Notifier, Outcome, Refused
from .notifiers.console import ConsoleNotifier
from .notifiers.http import check_url, guarded_session
from .notifiers.pagerduty import PagerDutyNotifier
from .notifiers.slack import SlackNotifier
from .policy.model import Receiver

__all__ = [
    "AnyReceiver",
    "ConsoleReceiver",
    "PagerDutyReceiver",
    "Sender",
    "SlackReceiver",
    "policy_receivers",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlackReceiver:
    """A Slack channel."""

    token: str = field(repr=False)
    channel: str
    base_url: str = "https://slack.com/api/"
    name: str = "slack"
    workspace: str = "default"

    @property
    def destination(self) -> str:
        """Key of its intents; no secret."""
        return f"slack:{self.workspace}/{self.channel}"


@dataclass(frozen=True, slots=True)
class PagerDutyReceiver:
    """A PagerDuty integration key."""

    routing_key: str = field(repr=False)
    base_url: str = "https://events.pagerduty.com"
    name: str = "pagerduty"
    alias: str = "default"

    @property
    def destination(self) -> str:
        """Key of its intents; no secret."""
        return f"pagerduty:{self.alias}"


@dataclass(frozen=True, slots=True)
class ConsoleReceiver:
    """A stream of the dispatcher's own process."""

    name: str = "console"
    stream: TextIO | None = None
    """None: standard error."""

    @property
    def destination(self) -> str:
        """Key of its intents."""
        return f"console:{self.name}"


AnyReceiver: TypeAlias = SlackReceiver | PagerDutyReceiver | ConsoleReceiver


def policy_receivers(receivers: Sequence[AnyReceiver]) -> tuple[Receiver, ...]:
    """The receivers as the router sees them; the console if there are none."""
    kinds: dict[type[AnyReceiver], str] = {SlackReceiver: "slack", PagerDutyReceiver: "pagerduty"}
    return tuple(
        Receiver(one.name, kinds.get(type(one), "console"), one.destination)  # type: ignore[arg-type] # a closed table
        for one in (receivers or (ConsoleReceiver(),))
    )


class Sender:
    """Performs calls: finds the receiver, words it, sends it. Its session lives in the loop of its first call."""

    def __init__(self, receivers: Sequence[AnyReceiver], *, allow_insecure_receivers: Iterable[str] = ()) -> None:
        """``allow_insecure_receivers`` names exact ``host:port`` pairs that may be plain HTTP or not public.

        Raises:
            ValueError: a receiver's URL is neither https nor on that list.
        """
        self._allowed = tuple(allow_insecure_receivers)
        self._receivers = {one.destination: one for one in (receivers or (ConsoleReceiver(),))}
        for one in self._receivers.values():
            if not isinstance(one, ConsoleReceiver):
                check_url(one.base_url, self._allowed)
        self._session: ClientSession | None = None
        self._notifiers: dict[str, Notifier] = {}
        self._broken: set[str] = set()

    async def perform(self, call: Call) -> Answer:
        """Carry out one call. Never raises."""
        outcome = await self._outcome(call)
        self._tell_operators(call.destination, outcome)
        if isinstance(outcome, Delivered):
            body = AnswerBody(ids=dict(outcome.ids), body_sha256=outcome.body_sha256)
        else:
            body = AnswerBody(
                refused=outcome.kind, text=outcome.text, retry_after=outcome.retry_after, seen=outcome.seen
            )
        return Answer(call.call_id, call.destination, body.model_dump_json().encode())

    async def close(self) -> None:
        """Close the session, if there was a call."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            self._notifiers.clear()

    async def _outcome(self, call: Call) -> Outcome:
        try:
            order = CallBody.model_validate_json(call.payload)
        except ValidationError:
            return Refused("payload", "unreadable call")
        notifier = self._notifier(call.destination)
        if notifier is None:
            return Refused("config", f"no receiver is configured for {call.destination}")
        return await notifier.send(order)

    def _notifier(self, destination: str) -> Notifier | None:
        if destination not in self._notifiers:
            receiver = self._receivers.get(destination)
            if receiver is None:
                return None
            self._notifiers[destination] = self._made(receiver)
        return self._notifiers[destination]

    def _made(self, receiver: AnyReceiver) -> Notifier:
        if isinstance(receiver, ConsoleReceiver):
            return ConsoleNotifier(receiver.stream or sys.stderr)
        if self._session is None:
            self._session = guarded_session(self._allowed)
        if isinstance(receiver, SlackReceiver):
            return SlackNotifier(
                token=receiver.token, channel=receiver.channel, base_url=receiver.base_url, session=self._session
            )
        return PagerDutyNotifier(routing_key=receiver.routing_key, base_url=receiver.base_url, session=self._session)

    def _tell_operators(self, destination: str, outcome: Outcome) -> None:
        """Say once that a destination refuses us, and once that it is well again."""
        broken = isinstance(outcome, Refused) and outcome.kind == "config"
        if broken and destination not in self._broken:
            self._broken.add(destination)
            _log.error("destination %s refuses our configuration: %s", destination, getattr(outcome, "text", ""))
        elif isinstance(outcome, Delivered) and destination in self._broken:
            self._broken.discard(destination)
            _log.warning("destination %s accepts again", destination)
