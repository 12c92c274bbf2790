"""The one HTTP session of all notifiers: guarded against slow, huge, redirecting answers and inner addresses.

Errors:
    OutboundRefused (not retriable)
    ├── AddressRefused   the address is not public; also an OSError, because it is raised while connecting
    ├── Redirected       the far side answered with a redirect
    └── TooLarge         more than 64 KiB

Source: alerts.md 10.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector, TraceConfig

from pipeline.crashpoint import crashpoint

from .base import Refused, class_of_status, possibly_seen, redacted

__all__ = ["AddressRefused", "OutboundRefused", "Redirected", "TooLarge", "check_url", "guarded_session", "refusal_of"]

_TOTAL_S = 10.0
_READ_CAP = 64 * 1024
_CHUNK = 8 * 1024
_HTTPS_PORT = 443
_TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("2002::/16"),
)
"""IPv4 inside IPv6, which Python calls global."""
_REFUSED_ADDRESS = "the address of the receiver is not a public one"


class OutboundRefused(Exception):  # noqa: N818 - named by what happened
    """Our own guard said no."""

    retriable = False


class AddressRefused(OutboundRefused, OSError):  # noqa: N818 - as above
    """Loopback, private, link-local, multicast or translated address that is not on the allow-list."""


class Redirected(OutboundRefused):
    """A redirect is never followed: a POST would become a GET that "succeeds", and the token would travel."""

    def __init__(self, status: int) -> None:
        """Only the status: the location may hold secrets."""
        super().__init__(f"redirect with status {status}")
        self.status = status


class TooLarge(OutboundRefused):
    """The answer is larger than any real one."""

    def __init__(self, status: int) -> None:
        """The status still tells the class."""
        super().__init__(f"answer with status {status} is larger than {_READ_CAP} bytes")
        self.status = status


class _CappedResponse(ClientResponse):
    """A response that stops reading at the cap, also after decompression."""

    async def read(self) -> bytes:
        if self._body is None:
            parts: list[bytes] = []
            size = 0
            async for chunk in self.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > _READ_CAP:
                    self.close()
                    raise TooLarge(self.status)
                parts.append(chunk)
            self._body = b"".join(parts)
        return self._body


def check_url(url: str, allowed: Iterable[str]) -> None:
    """Whether this may be a receiver: https, or an exact ``host:port`` of the allow-list.

    Raises:
        ValueError: it may not; the text does not repeat the URL.
    """
    parts = urlsplit(url)
    port = parts.port or _HTTPS_PORT
    if f"{parts.hostname}:{port}" in set(allowed):
        return
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        message = "a receiver's URL must be https and without user info (or its host:port in allow_insecure_receivers)"
        raise ValueError(message)


def guarded_session(allowed: Iterable[str] = (), *, total_s: float = _TOTAL_S) -> ClientSession:
    """A session that reads no proxy from the environment, follows nothing and connects to public addresses only.

    Connections are not reused: a kept one that the far side closes meanwhile would look like a cut after sending.
    """
    names = frozenset(_addresses(allowed))

    def opened(info: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, address = info
        if not _public(str(address[0])) and (str(address[0]), int(address[1])) not in names:
            raise AddressRefused(_REFUSED_ADDRESS)
        return socket.socket(family=family, type=kind, proto=proto)

    async def refuse_redirect(
        _session: ClientSession, _context: object, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        raise Redirected(params.response.status)

    async def sent(_session: ClientSession, _context: object, _params: aiohttp.TraceRequestChunkSentParams) -> None:
        crashpoint("request.sent")

    trace = TraceConfig()
    trace.on_request_chunk_sent.append(sent)
    trace.on_request_redirect.append(refuse_redirect)
    return ClientSession(
        connector=TCPConnector(socket_factory=opened, force_close=True, happy_eyeballs_delay=None),
        response_class=_CappedResponse,
        timeout=ClientTimeout(total=total_s),
        trace_configs=[trace],
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
    )


def _addresses(allowed: Iterable[str]) -> Iterable[tuple[str, int]]:
    for entry in allowed:
        host, _, port = entry.rpartition(":")
        hosts = ("127.0.0.1", "::1") if host == "localhost" else (host.strip("[]"),)
        for name in hosts:
            yield name, int(port)


def _public(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(str(address.ipv4_mapped))
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def refusal_of(error: BaseException, secrets: tuple[str, ...]) -> Refused:
    """What a failed exchange means: never sent (transient), refused by our guard (config), or nobody knows.

    Only a failure to connect is certain to have sent nothing.
    """
    text = redacted(f"{type(error).__name__}: {error}", secrets)
    inner = getattr(error, "os_error", None)
    if isinstance(error, AddressRefused) or isinstance(inner, AddressRefused) or _REFUSED_ADDRESS in str(error):
        return Refused("config", _REFUSED_ADDRESS)
    if isinstance(error, Redirected | aiohttp.InvalidURL):
        return Refused("config", text)
    if isinstance(error, TooLarge):
        kind = class_of_status(error.status)
        return Refused(kind, text, seen=possibly_seen(kind))
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Refused("transient", text)
    if isinstance(error, aiohttp.ClientError | asyncio.TimeoutError | OSError):
        return Refused("ambiguous", text, seen=True)
    return Refused("unknown", text, seen=True)
