"""``iskra up``, ``down``, ``status``: the workers of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iskra.commands.common import Common, data, settings_of, talk

if TYPE_CHECKING:
    from iskra.apps.fleet import Member

__all__ = ["down", "status", "up"]

Json = Annotated[bool, typer.Option("--json", help="One JSON object per worker.")]
Run = Annotated[Path, typer.Option("--dir", help="Where their process files and logs are.")]
HERE = Path(".iskra", "run")


def up(
    ctx: typer.Context,
    directory: Run = HERE,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Probes on any free ports instead of 9600 and up.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start all workers in the background.

    scorer-0, scorer-1, rollup-0, router-0, dispatcher-0; returns when all are ready.
    """
    from iskra.apps import cluster, fleet
    from schemas.topics import ALL

    options = settings_of(ctx).kafka.options()
    with cluster.admin(options) as admin:
        cluster.require_created(admin, [options.topic(topic.name) for topic in ALL])
    common: Common = ctx.find_root().obj or Common()
    before = ["--config", str(common.config)] if common.config else []
    members = fleet.up(directory, options=before, free_ports=free_ports)
    for member in members:
        _show(member, as_json=as_json)


def down(directory: Run = HERE, as_json: Json = False) -> None:
    """End the workers that `up` started here."""
    from iskra.apps import fleet

    ended = fleet.down(directory)
    if as_json:
        data({"ended": ended})
    else:
        talk(f"ended {', '.join(ended)}" if ended else f"no worker runs in {directory}")


def status(directory: Run = HERE, as_json: Json = False) -> None:
    """Show the workers; exit 1 if one is not ready."""
    from iskra.apps import fleet

    members = fleet.status(directory)
    for member in members:
        _show(member, as_json=as_json)
    if not members:
        talk(f"no worker was started in {directory}: iskra up")
    if not members or not all(member.ready for member in members):
        raise typer.Exit(1)


def _show(member: Member, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        data(asdict(member))
    else:
        state = "ready" if member.ready else "running, not ready" if member.running else "ended"
        data(f"{member.name:<14} {state:<20} pid {member.pid:<8} port {member.port or '-'}")
