"""What the driver needs of a transport: open once, say what came, be cut at once.

A transport decides nothing: no retry, no ping of its own, no time-out but that of closing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.agents.core.evidence import Evidence
from pipeline.agents.core.options import ConnectOptions
from schemas.types import Instant

__all__ = ["AttemptError", "Connector", "Ears", "Socket", "SocketError"]


class AttemptError(Exception):
    """The attempt did not get as far as the upgrade. Retriable, as its evidence says."""

    retriable = True

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence.reason)
        self.evidence = evidence


class SocketError(Exception):
    """The socket is gone, by whoever's doing. Retriable, as its evidence says."""

    retriable = True

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence.reason)
        self.evidence = evidence


class Ears(Protocol):
    """Who listens to a socket. Called in the event loop, must not block."""

    def heard(self) -> None:
        """A byte came in."""

    def ponged(self, payload: bytes) -> None:
        """A pong came in, for a ping with this payload."""


class Socket(Protocol):
    """One open connection."""

    async def receive(self) -> str | bytes:
        """The next message. Raises SocketError, and goes on raising it."""

    async def send(self, message: str | bytes) -> None:
        """Write one message. Raises SocketError; whether it arrived is then unknown."""

    async def ping(self, payload: bytes) -> None:
        """Write one ping. Never raises: a lost socket is told by ``receive``."""

    async def close(self, code: int) -> None:
        """Close cleanly, within a second; ``receive`` raises then."""

    def abort(self) -> None:
        """Cut now. A dead peer cannot hold it up."""


class Connector(Protocol):
    """Makes one attempt."""

    async def __call__(
        self,
        url: str,
        ears: Ears,
        options: ConnectOptions,
        *,
        headers: tuple[tuple[str, str], ...],
        wall: Callable[[], Instant],
    ) -> Socket:
        """Open the URL once. Raises AttemptError. Cancelling it leaves nothing behind."""
