"""What the commands share: the options before the command, settings, ways to speak."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from iskra.problems import SettingsProblem

if TYPE_CHECKING:
    from iskra.settings import Settings  # 0.2 s of pydantic that --help does without

__all__ = ["Common", "data", "documents", "millis", "read_bytes", "settings_of", "talk"]


@dataclass(frozen=True, slots=True)
class Common:
    """What stands between ``iskra`` and the command."""

    config: Path | None = None
    debug: bool = False


def settings_of(ctx: typer.Context) -> Settings:
    """The settings that hold for this command."""
    from iskra.settings import load

    common: Common = ctx.find_root().obj or Common()
    return load(config=common.config).settings


def data(value: Any) -> None:
    """One line of data on stdout: a text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        typer.echo(text)
    except UnicodeEncodeError:  # a lone surrogate, or a terminal that is not UTF-8
        typer.echo(text.encode("ascii", "backslashreplace").decode())


def talk(text: str) -> None:
    """One line for the person, on stderr."""
    typer.echo(text, err=True)


def millis(text: str) -> int:
    """A length of time such as ``90s``, ``10m``, ``2h``, ``1d`` in milliseconds."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", text.strip())
    if found is None:
        raise SettingsProblem([f"{text!r} is no length of time: write 30s, 10m, 2h or 1d"])
    return round(float(found[1]) * {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[found[2]])


def read_bytes(file: str) -> bytes:
    """The bytes of a file, or of stdin for ``-``."""
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def documents(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The events in a file with the number of their first line: one document over several lines, or one per line."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.strip():
                yield number, line.rstrip(b"\r")
    else:
        yield 1, content.strip()
