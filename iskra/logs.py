"""Logs: one JSON object per line, on a terminal a readable line, and one place where secrets are taken out.

Every record of every logger passes through here, ours and the libraries': message, arguments, extra, traceback. Client
libraries speak from WARNING on.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import logging.config
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

__all__ = ["JsonLines", "ReadableLines", "WithoutBanner", "configure", "logging_config", "redact"]

QUIET = ("aiohttp", "aiokafka", "asyncio", "faust", "kafka", "mode", "slack_sdk", "websockets")
"""Libraries heard from WARNING on."""

_HIDDEN = "***"
_KEY_WORDS = (
    r"(?:sasl_[a-z_]*password|sasl\.password|sasl_plain_password|password|passwd|routing_key|api_key|secret|token)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # user and password of a URL, then its query
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@'\"]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^\s?'\"<>]+)\?[^\s'\"<>]+"), rf"\1?{_HIDDEN}"),
    # the path of a webhook is its secret
    (re.compile(r"(hooks\.slack(?:-gov)?\.com/)(?:services|workflows|triggers)/[^\s'\"<>]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(/webhooks?/)[^\s'\"<>?]+"), rf"\1{_HIDDEN}"),
    # Authorization: Bearer …, as header, as dict, as bytes
    (
        re.compile(
            r"((?:proxy-)?authorization['\"]?\s*[:=,]\s*(?:b(?=['\"]))?['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\",;)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    # Slack's tokens
    (re.compile(r"\bxox[a-z]?(?:\.xox[a-z])?-[A-Za-z0-9-]+|\bxapp-[A-Za-z0-9-]+"), _HIDDEN),
    # key = value of what is called a secret
    (
        re.compile(
            rf"(['\"]?\b{_KEY_WORDS}\b['\"]?\s*[:=]\s*)(?:b(?=['\"]))?(?:'[^']*'|\"[^\"]*\"|[^\s'\",;&)}}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    # PagerDuty's routing keys stand alone in texts of its client
    (re.compile(r"\b(?=[0-9a-z]*[a-z])(?=[0-9a-z]*[0-9])R0[0-9A-Z]{30}\b", re.IGNORECASE), _HIDDEN),
)
_SECRET_NAME = re.compile(rf"^{_KEY_WORDS}$|authorization", re.IGNORECASE)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def redact(value: Any) -> Any:
    """The same value without secrets: texts by rule, values under secret names whole, containers item by item."""
    if isinstance(value, str):
        for pattern, instead in _RULES:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            str(name): _HIDDEN if _SECRET_NAME.search(str(name)) and item else redact(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _content(record: logging.LogRecord, fixed: Mapping[str, str]) -> dict[str, Any]:
    """What is said of one record, redacted."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        message = f"{record.msg} {record.args!r}"
    content: dict[str, Any] = {
        "ts": dt.datetime.fromtimestamp(record.created, dt.UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": redact(message),
        "logger": record.name,
        **fixed,
    }
    for name, value in vars(record).items():
        if name not in _STANDARD and not name.startswith("_"):
            content.setdefault(name, _HIDDEN if _SECRET_NAME.search(name) and value else redact(value))
    if record.exc_info and record.exc_info[0] is not None:
        content["exc_info"] = redact("".join(traceback.format_exception(*record.exc_info)))
    elif record.exc_text:
        content["exc_info"] = redact(record.exc_text)
    if record.stack_info:
        content["stack"] = redact(record.stack_info)
    return content


class JsonLines(logging.Formatter):
    """One JSON object per record; a line break in a message stays inside its string."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self._fixed = {"role": role} if role else {}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return json.dumps(_content(record, self._fixed), ensure_ascii=True, default=str)


class ReadableLines(logging.Formatter):
    """For a person at a terminal: time, level, event, then name=value."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, a traceback below it."""
        content = _content(record, {})
        trace = content.pop("exc_info", None)
        clock, level, event = content.pop("ts")[11:23], content.pop("level"), content.pop("event")
        content.pop("logger")
        content.pop("stack", None)
        more = " ".join(
            f"{name}={json.dumps(value, ensure_ascii=True, default=str)}" for name, value in content.items()
        )
        line = f"{clock} {level:<7} {self._role:<12} {json.dumps(event, ensure_ascii=True)[1:-1]}" + (
            f"  {more}" if more else ""
        )
        return f"{line}\n{trace}" if trace else line


class WithoutBanner(logging.Filter):
    """Drops what mode says of each service it starts and stops: sixteen lines without news."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        return record.levelno > logging.INFO or not str(record.msg).startswith("[^")


def logging_config(
    role: str = "", *, level: str = "INFO", readable: bool = False, stream: str = "ext://sys.stderr"
) -> dict[str, Any]:
    """The whole set-up as a dict for ``logging.config.dictConfig``, fit for ``faust.App(logging_config=…)`` too."""
    formatter = ReadableLines if readable else JsonLines
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter, "role": role}},
        "filters": {"banner": {"()": WithoutBanner}},
        "handlers": {
            "lines": {"class": "logging.StreamHandler", "formatter": "lines", "filters": ["banner"], "stream": stream}
        },
        "root": {"handlers": ["lines"], "level": level},
        "loggers": {name: {"level": "WARNING", "propagate": True, "handlers": []} for name in QUIET},
    }


def configure(role: str = "", *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging for this process: readable on a terminal, JSON lines elsewhere, warnings included."""
    readable = (stream or sys.stderr).isatty()
    logging.config.dictConfig(logging_config(role, level=level, readable=readable))
    logging.captureWarnings(capture=True)
