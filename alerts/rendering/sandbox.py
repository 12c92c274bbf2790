"""Text fragments by sandboxed Jinja2: no loader, no way out, escaped once, and never longer than a cap.

The sandbox does not bound time or memory by itself. Here output is counted while it is made, and the operators that
grow text are refused. Users' templates, in a process of their own, come with the routing file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .context import Scalars
from .wording import visible

__all__ = ["OUTPUT_CAP", "Unrenderable", "fragment", "plain", "rendered", "slack_escaped"]

OUTPUT_CAP = 40_000
"""Characters."""
_TEXT_CAP = 4_000
"""Of one value that comes from outside."""


class Unrenderable(Exception):  # noqa: N818 - named by what is the case
    """A fragment that cannot be rendered; plain text goes out instead. Not retriable: it fails each time."""

    retriable = False


def plain(value: object) -> str:
    """A value as text, unseen characters shown."""
    return visible(str(value)[:_TEXT_CAP])


def slack_escaped(value: object) -> str:
    """A value as text for mrkdwn: the three characters that Slack reads as its own."""
    return plain(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(value: object) -> str:
    """An identifier in a code span, where nothing is markup."""
    return "`" + str(value).replace("`", "'").replace("\n", " ") + "`"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, without the operators that make much out of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Numbers only: the sandbox alone would render ``'a' * 200_000_000``."""
        if not (isinstance(left, int | float) and isinstance(right, int | float)) or operator == "**":
            message = f"operator {operator} is for numbers"
            raise Unrenderable(message)
        return super().call_binop(context, operator, left, right)


@cache
def _environment(escape: Callable[[object], str]) -> _Sandbox:
    environment = _Sandbox(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters = {"code": _code}
    environment.globals.clear()
    return environment


@cache
def _built_in(name: str, escape: Callable[[object], str]) -> Template:
    source = files("alerts").joinpath("templates", f"{name}.j2").read_text(encoding="utf-8")
    return _environment(escape).from_string(source)


def rendered(source: str, context: Mapping[str, object], escape: Callable[[object], str]) -> str:
    """The text of a template's source, whitespace at the ends and doubled blank removed.

    Raises:
        Unrenderable: a fault of the template, an undefined name, or more output than the cap.
    """
    try:
        template = _environment(escape).from_string(source)
    except TemplateError as error:
        message = f"{type(error).__name__}: {error}"
        raise Unrenderable(message) from error
    return _generated(template, context)


def fragment(name: str, context: Scalars, escape: Callable[[object], str]) -> str:
    """A built-in fragment: ``title``, ``summary``, ``body``, ``footer``, ``reply``. Errors as ``rendered``."""
    return _generated(_built_in(name, escape), context)


def _generated(template: Template, context: Mapping[str, object]) -> str:
    size, parts = 0, []
    try:
        for part in template.generate(dict(context)):
            size += len(part)
            if size > OUTPUT_CAP:
                message = f"more than {OUTPUT_CAP} characters"
                raise Unrenderable(message)
            parts.append(part)
    except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        message = f"{type(error).__name__}: {error}"
        raise Unrenderable(message) from error
    lines = ("".join(parts)).strip().splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())
