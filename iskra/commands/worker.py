"""``iskra worker``: one role in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from iskra.commands.common import settings_of

__all__ = ["worker"]


def worker(
    ctx: typer.Context,
    member: Annotated[
        str, typer.Argument(metavar="ROLE[-N]", help="scorer, rollup, router or dispatcher; N is its number.")
    ],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Of /healthz, /readyz, /metrics on 127.0.0.1; 0 takes a free one. "
            "[default: 9600+N scorer, 9620+N rollup, 9640+N router, 9660+N dispatcher]",
        ),
    ] = None,
) -> None:
    """Run one worker until SIGTERM."""
    from iskra.apps.worker import run

    raise typer.Exit(run(member, settings_of(ctx), port=port))
