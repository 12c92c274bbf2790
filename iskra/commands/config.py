"""``iskra config``: the settings that hold, and where each came from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from iskra.commands.common import Common, data

__all__ = ["app"]

app = typer.Typer(help="Settings.", rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Settings: option, environment, .env, file, profile, defaults; strongest first."""


@app.command()
def show(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Also where each value came from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object by dotted key.")] = False,
) -> None:
    """Print every setting with its value; secrets as stars."""
    from iskra.settings import load

    common: Common = ctx.find_root().obj or Common()
    rows = load(config=common.config).rows()
    if as_json:
        data({key: {"value": value, "origin": source} if origin else value for key, value, source in rows})
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, source in rows:
        shown = value if isinstance(value, str) else json.dumps(value)
        data(f"{key:<{width}}  {shown}" + (f"  [{source}]" if origin else ""))
