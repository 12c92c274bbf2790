"""The agent's settings from the environment: its only reader in this package.

``ISKRA_AGENT__<GROUP>__<NAME>``, the names of ``core.options``: ``ISKRA_AGENT__HEARTBEAT__INTERVAL_MS=5000``,
``ISKRA_AGENT__TELEMETRY__RING_EVENTS=2000``. Kafka is named as for all of
the product: ``ISKRA_KAFKA__BOOTSTRAP``, ``ISKRA_KAFKA__TOPIC_PREFIX``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from schemas.topics import EVENTS

from .core.options import AgentOptions, KafkaTarget

__all__ = ["SettingError", "kafka_target", "options_from"]

_PREFIX: Final = "ISKRA_AGENT__"
_KAFKA: Final = "ISKRA_KAFKA__"


class SettingError(ValueError):
    """A setting that cannot be used. Not retriable: the message names the variable."""

    retriable = False


def options_from(environ: Mapping[str, str] | None = None, *, base: AgentOptions | None = None) -> AgentOptions:
    """The options with what the environment sets.

    Errors: SettingError for an unknown name or a value out of bounds; nothing is started.
    """
    source = os.environ if environ is None else environ
    options = base or AgentOptions()
    for name, text in sorted(source.items()):
        if name.startswith(_PREFIX) and text:
            options = _with(options, name, text)
    return options


def kafka_target(environ: Mapping[str, str] | None = None) -> KafkaTarget:
    """Where Kafka is."""
    source = os.environ if environ is None else environ
    plain = KafkaTarget()
    prefix = source.get(f"{_KAFKA}TOPIC_PREFIX") or "iskra"
    return replace(
        plain,
        bootstrap=source.get(f"{_KAFKA}BOOTSTRAP") or plain.bootstrap,
        topic=f"{prefix}.{EVENTS}",
        security_protocol=source.get(f"{_KAFKA}SECURITY_PROTOCOL") or plain.security_protocol,
        sasl_mechanism=source.get(f"{_KAFKA}SASL_MECHANISM") or None,
        sasl_username=source.get(f"{_KAFKA}SASL_USERNAME") or None,
        sasl_password=_secret(source, f"{_KAFKA}SASL_PASSWORD"),
        ssl_cafile=source.get(f"{_KAFKA}SSL_CAFILE") or None,
    )


def _secret(source: Mapping[str, str], name: str) -> str | None:
    """A secret, given plainly or as the name of a file that holds it."""
    path = source.get(f"{name}_FILE")
    if path and source.get(name):
        message = f"{name} and {name}_FILE are both set: keep one"
        raise SettingError(message)
    if not path:
        return source.get(name) or None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        message = f"{name}_FILE: cannot read the file ({error.strerror})"
        raise SettingError(message) from error


def _with(options: AgentOptions, name: str, text: str) -> AgentOptions:
    group_name, _, field_name = name.removeprefix(_PREFIX).lower().partition("__")
    group = getattr(options, group_name, None)
    if not is_dataclass(group) or isinstance(group, type):
        message = f"{name}: no such group; known are {', '.join(field.name for field in fields(options))}"
        raise SettingError(message)
    known = {field.name: getattr(group, field.name) for field in fields(group)}
    if field_name in known:
        changed: Any = {group_name: replace(group, **{field_name: _value(name, text, known[field_name])})}
        return replace(options, **changed)
    message = f"{name}: no such setting; {group_name} has {', '.join(sorted(known))}"
    raise SettingError(message)


def _value(name: str, text: str, default: object) -> Any:
    """The text as a value of the default's kind. Series are comma-separated."""
    if default is None or isinstance(default, str):
        return text
    try:
        if isinstance(default, tuple):
            return tuple(round(_number(part)) for part in text.split(","))
        return round(_number(text)) if isinstance(default, int) else _number(text)
    except ValueError:
        message = f"{name}: not a number that fits"
        raise SettingError(message) from None


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0 or number > 1e12:
        raise ValueError
    return number
