"""The public face of the connection agent.

async with Agent.from_env(name="billing") as agent:
link = await agent.open("orders", ["wss://a.example/feed"])
async for message in link:          # survives every reconnect
await link.send(answer(message))
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import ValidationError

from schemas.events import ConnectionEvent
from schemas.names import MAX_ID, has_id_characters
from schemas.types import Unit

from .core.facts import Scalar
from .core.link import Endpoint, LinkPlan, LinkState, Phase
from .core.options import AgentOptions, KafkaTarget
from .core.signals import CloseWanted, Wanted
from .driver import Driver, Seat, wall_ms
from .environ import kafka_target, options_from
from .publisher import KafkaPublisher, Publisher, StreamPublisher
from .speaker import Speaker
from .transports.base import Connector, SocketError
from .transports.ws import open_websocket

__all__ = ["Agent", "Link", "LinkClosedError", "LinkError", "LinkFailedError", "PublisherKind", "Receipt", "SendError"]

PublisherKind: TypeAlias = Literal["kafka", "stdout"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,38}")
_LINK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_SCHEMES: Final = frozenset({"ws", "wss"})


class LinkError(Exception):
    """A link cannot do what was asked.

    LinkError
     ├─ LinkClosedError   it was closed, by us; not retriable
     ├─ LinkFailedError   it needs a human; not retriable before ``reopen()``
     └─ SendError         the socket went while the message was written: whether it arrived is unknown; retriable
    """

    retriable = False


class LinkClosedError(LinkError):
    """The link was closed."""


class LinkFailedError(LinkError):
    """The link has given up, with a reason that only a human can remove."""


class SendError(LinkError):
    """The socket was lost during the send."""

    retriable = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message was written to this socket. Without a session nobody acknowledges it."""

    session_id: str


class Link:
    """One logical connection, across all its sockets."""

    def __init__(self, driver: Driver, seat: Seat) -> None:
        self._driver = driver
        self._seat = seat

    @property
    def link_id(self) -> str:
        """Its name in this agent."""
        return self._seat.state.plan.link_id

    @property
    def connection_id(self) -> str:
        """Its name everywhere."""
        return self._seat.state.plan.connection_id

    @property
    def state(self) -> Phase:
        """Where it stands."""
        return self._seat.state.phase

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """The next message, from whichever socket. Ends when the link is closed; raises LinkFailedError."""
        seat = self._seat
        while not seat.inbox:
            if self.state is Phase.CLOSED:
                raise StopAsyncIteration
            if self.state is Phase.FAILED:
                raise LinkFailedError(self._why())
            await seat.change()
        message = seat.inbox.popleft()
        seat.room.set()
        return message

    async def connected(self) -> None:
        """Wait until the link is proved. Raises LinkClosedError, LinkFailedError."""
        while self.state is not Phase.CONNECTED:
            if self.state in {Phase.CLOSED, Phase.DRAINING}:
                raise LinkClosedError(self.link_id)
            if self.state is Phase.FAILED:
                raise LinkFailedError(self._why())
            await self._seat.change()

    async def send(self, message: str | bytes) -> Receipt:
        """Write a message to the proved socket, waiting for one if there is none.

        Nothing is sent before the proof. A message is written to one socket at most: if that is lost meanwhile,
        SendError says so and the caller decides. Raises LinkClosedError, LinkFailedError, SendError.
        """
        while True:
            await self.connected()
            socket, session_id = self._seat.socket, self._seat.state.session_id
            if socket is not None:
                break
            await self._seat.change()
        try:
            await socket.send(message)
        except SocketError as lost:
            message_text = f"{self.link_id}: the socket was lost during the send: {lost}"
            raise SendError(message_text) from lost
        return Receipt(session_id)

    async def close(self) -> None:
        """Close it for good: code 1000, at most the drain time. A wanted end, told as ``connection_closed``."""
        self._driver.feed(self._seat, CloseWanted())
        while self.state is not Phase.CLOSED:
            await self._seat.change()

    def reopen(self) -> None:
        """Want it again, after ``close`` or after it has failed."""
        self._driver.feed(self._seat, Wanted())

    def _why(self) -> str:
        episode = self._seat.state.episode
        return f"{self.link_id}: {episode.cause if episode else 'failed'}"


class Agent:
    """Keeps links alive and tells Kafka what happens to them. Use as ``async with``."""

    def __init__(
        self,
        name: str,
        *,
        options: AgentOptions | None = None,
        publisher: PublisherKind | Publisher = "kafka",
        kafka: KafkaTarget | None = None,
        connector: Connector = open_websocket,
        rng: random.Random | None = None,
        on_event: Callable[[ConnectionEvent], None] | None = None,
        on_phase: Callable[[LinkState], None] | None = None,
    ) -> None:
        if _NAME.fullmatch(name) is None:
            message = f"name {name!r}: 1 to 39 letters, digits, dots, dashes or underscores"
            raise ValueError(message)
        self.name = name
        self.options = options or AgentOptions()
        self.agent_id = f"{name}.{wall_ms()}"
        self.left: int | None = None
        """Events that could not be flushed at the end; None while the agent runs."""
        self._publisher = self._make_publisher(publisher, kafka)
        self._speaker = Speaker(self.agent_id, self._publisher, wall_ms, on_event)
        self._driver = Driver(
            self.options,
            self._speaker,
            self._publisher,
            connector,
            agent_connection_id=f"agent:{name}",
            rng=rng or random.Random(),  # noqa: S311 - jitter, not a secret
            on_phase=on_phase,
        )
        self._links: dict[str, Link] = {}
        self._running = False

    @classmethod
    def from_env(
        cls, name: str, *, publisher: PublisherKind | Publisher = "kafka", environ: Mapping[str, str] | None = None
    ) -> Self:
        """An agent as the environment sets it (``ISKRA_AGENT__…``, ``ISKRA_KAFKA__…``). Raises SettingError."""
        return cls(name, options=options_from(environ), publisher=publisher, kafka=kafka_target(environ))

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin, in the running loop; ``async with`` does it."""
        self._publisher.start()
        self._driver.start()
        self._running = True

    @property
    def links(self) -> Mapping[str, Link]:
        """All links, by id."""
        return self._links

    @property
    def emitted(self) -> Mapping[str, int]:
        """How often each delta was said."""
        return self._driver.emitted

    async def open(
        self,
        link_id: str,
        urls: Sequence[str],
        *,
        connection_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        keep_messages: bool = True,
    ) -> Link:
        """Want a link to the first of these places that works. Returns at once; ``connected()`` waits for the proof.

        Errors: ValueError for an id that is taken or does not fit, a URL that is not ``ws://`` or ``wss://``, or one
        with user information in it. Messages are kept for iteration unless ``keep_messages`` is False; then they are
        counted and discarded.
        """
        if not self._running:
            message = "the agent is not running: use `async with`"
            raise RuntimeError(message)
        if _LINK_ID.fullmatch(link_id) is None:
            message = f"link id {link_id!r}: 1 to 64 letters, digits, dots, colons, dashes or underscores"
            raise ValueError(message)
        if link_id in self._links:
            message = f"link id {link_id!r} is taken"
            raise ValueError(message)
        known_as = connection_id if connection_id is not None else f"{self.name}/{link_id}"
        if len(known_as) > MAX_ID or not has_id_characters(known_as):
            message = f"connection id {known_as!r}: 1 to {MAX_ID} visible characters"
            raise ValueError(message)
        plan = LinkPlan(
            link_id=link_id,
            connection_id=known_as,
            life=f"{self.agent_id}/{link_id}",
            endpoints=_endpoints(urls),
            options=self.options,
        )
        seat = self._driver.add(plan, headers=tuple((headers or {}).items()), keep_messages=keep_messages)
        link = Link(self._driver, seat)
        self._links[link_id] = link
        return link

    def observe(
        self,
        delta: str,
        *,
        connection_id: str,
        omega: Unit | None = None,
        dimension: int | None = None,
        lambda_: str | None = None,
        seam_id: str | None = None,
        voice_pain: Unit | None = None,
        voice_chaos: Unit | None = None,
        voice_trust: Unit | None = None,
        data: Mapping[str, Scalar] | None = None,
    ) -> ConnectionEvent:
        """Report what you saw on a socket of your own. From any thread; never blocks, never raises for Kafka.

        Errors: ValueError, naming the field, for what the schema refuses. What is left out the registry fills in.
        """
        claims = {"voice_pain": voice_pain, "voice_chaos": voice_chaos, "voice_trust": voice_trust}
        try:
            return self._speaker.report(
                delta,
                connection_id=connection_id,
                dimension=dimension,
                omega=omega,
                lambda_=lambda_,
                seam_id=seam_id,
                data=data,
                claims=claims,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            message = f"$.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
            raise ValueError(message) from None

    async def close(self) -> int:
        """Close all links, flush, end. How many events were left; also in ``left``."""
        if not self._running:
            return self.left or 0
        self._running = False
        await self._close_links()
        self._driver.stop()
        self.left = await asyncio.to_thread(self._publisher.stop, self.options.stop.flush_ms)
        return self.left

    async def _close_links(self) -> None:
        closing = [asyncio.create_task(link.close()) for link in self._links.values()]
        if closing:
            # One second more than the machine's own limit: it is the one that decides.
            _, late = await asyncio.wait(closing, timeout=self.options.stop.drain_ms / 1000 + 1)
            for task in late:
                task.cancel()

    def _make_publisher(self, publisher: PublisherKind | Publisher, kafka: KafkaTarget | None) -> Publisher:
        if publisher == "kafka":
            return KafkaPublisher(kafka or KafkaTarget(), self.options.telemetry)
        if publisher == "stdout":
            return StreamPublisher(self.options.telemetry)
        return publisher


def _endpoints(urls: Sequence[str]) -> tuple[Endpoint, ...]:
    if isinstance(urls, str) or not urls:
        message = "urls: a list of at least one ws:// or wss:// URL"
        raise ValueError(message)
    return tuple(_endpoint(url) for url in urls)


def _endpoint(url: str) -> Endpoint:
    """A URL, taken apart and checked. Its query stays out of everything that is told: it may carry a secret."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    if parts.scheme not in _SCHEMES or not parts.hostname:
        message = f"url {shown}: ws:// or wss:// and a host"
        raise ValueError(message)
    if parts.username is not None or parts.password is not None:
        message = f"url {shown}: no user information in a URL; use headers"
        raise ValueError(message)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return Endpoint(url, f"{parts.hostname}:{port}", shown[:200], _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
