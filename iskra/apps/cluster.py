"""Kafka as the command line sees it: clients from options, and one line when nobody answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from iskra.problems import Problem, Unreachable
from pipeline.runtime.options import KafkaOptions

__all__ = ["admin", "client_settings", "consumer", "producer", "require_created"]

TIMEOUT_MS = 10_000
BOOTSTRAP_MS = 4_000
"""kafka-python's own 30 s are long for somebody who waits at a prompt."""
_ASK_AGAIN_S = 0.1

_Answer = TypeVar("_Answer")


def client_settings(options: KafkaOptions) -> dict[str, Any]:
    """The connection's part of a kafka-python client's arguments."""
    settings: dict[str, Any] = {
        "bootstrap_servers": options.bootstrap.split(","),
        "security_protocol": options.security_protocol,
        "request_timeout_ms": TIMEOUT_MS,
        "client_id": "iskra",
    }
    if options.sasl_mechanism is not None:
        settings["sasl_mechanism"] = options.sasl_mechanism
        settings["sasl_plain_username"] = options.sasl_username
        settings["sasl_plain_password"] = options.sasl_password
    if options.ssl_cafile is not None:
        settings["ssl_cafile"] = options.ssl_cafile
    return settings


@contextmanager
def admin(options: KafkaOptions) -> Iterator[Any]:
    """An administration client, closed afterwards."""
    from kafka import KafkaAdminClient

    with _reaching(options):
        client = KafkaAdminClient(bootstrap_timeout_ms=BOOTSTRAP_MS, **client_settings(options))
        try:
            yield client
        finally:
            client.close()


@contextmanager
def consumer(options: KafkaOptions, **more: Any) -> Iterator[Any]:
    """A consumer without a group that reads committed records only, closed afterwards."""
    from kafka import KafkaConsumer

    with _reaching(options):
        settings = client_settings(options) | {"request_timeout_ms": 3 * TIMEOUT_MS}
        client = KafkaConsumer(
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            **settings,
            **more,
        )
        try:
            yield client
        finally:
            client.close(autocommit=False)


@contextmanager
def producer(options: KafkaOptions) -> Iterator[Any]:
    """A producer that waits for all replicas, closed afterwards."""
    from kafka import KafkaProducer

    with _reaching(options):
        client = KafkaProducer(
            acks="all",
            allow_auto_create_topics=False,
            max_block_ms=TIMEOUT_MS,
            delivery_timeout_ms=3 * TIMEOUT_MS,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            **client_settings(options),
        )
        try:
            yield client
        finally:
            client.close(timeout=TIMEOUT_MS / 1000)


@contextmanager
def _reaching(options: KafkaOptions) -> Iterator[None]:
    """Turn what kafka-python raises when nobody answers into one line with the next command."""
    from kafka import errors

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells each attempt; we tell the outcome
    try:
        yield
    except (errors.KafkaConnectionError, errors.KafkaTimeoutError, errors.NodeNotReadyError) as error:
        msg = (
            f"no Kafka answers at {options.bootstrap}: start one with iskra broker start, or set ISKRA_KAFKA__BOOTSTRAP"
        )
        raise Unreachable(msg) from error
    except errors.SaslAuthenticationFailedError as error:
        msg = f"the Kafka at {options.bootstrap} refused user {options.sasl_username}: check kafka.sasl_password"
        raise Unreachable(msg) from error


def require_created(admin: Any, names: Sequence[str]) -> None:
    """Errors: Problem when one of these topics is not on the cluster, with the command that makes it."""
    missing = sorted(set(names) - set(_answered(admin.list_topics)))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        msg = f"the cluster has no topic {missing[0]}{more}: iskra topics apply"
        raise Problem(msg)


def _answered(ask: Callable[[], _Answer]) -> _Answer:
    """What the cluster says; a node that died a moment ago is still among those that are asked, so another is tried.

    Errors: what kafka-python raises, once nobody has answered in the time for a bootstrap.
    """
    from kafka import errors

    deadline = time.monotonic() + BOOTSTRAP_MS / 1000
    while True:
        try:
            return ask()
        except errors.KafkaConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_ASK_AGAIN_S)
