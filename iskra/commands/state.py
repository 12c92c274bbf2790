"""``iskra state``: what the workers remember, and remembering it anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from iskra.commands.common import data, settings_of, talk
from iskra.problems import SettingsProblem

if TYPE_CHECKING:
    from iskra.apps.state import Shown
    from pipeline.runtime.rebuilding import Until

__all__ = ["app"]

app = typer.Typer(help="The state of the workers.", rich_markup_mode=None, no_args_is_help=True)

Partition = Annotated[int | None, typer.Option(min=0, help="Only this one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per partition.")]
Stage = Annotated[str, typer.Argument(metavar="STAGE", help="scorer, rollup, intake, router or dispatcher.")]

_TELL_EVERY_S = 1.0


@app.command()
def show(
    ctx: typer.Context,
    stage: Annotated[
        str | None, typer.Argument(metavar="[STAGE]", help="scorer, rollup, intake, router or dispatcher; all.")
    ] = None,
    partition: Partition = None,
    as_json: Json = False,
) -> None:
    """Show where each partition stands and whether a worker would start on it; exit 1 if one would not.

    Reads only, disturbs no worker.
    """
    from iskra.apps import state

    settings = settings_of(ctx)
    refused = False
    for to in state.destinations(settings, stage, partition):
        one = state.shown(to, settings)
        refused = refused or one.refused is not None
        _show(one, as_json=as_json)
    if refused:
        raise typer.Exit(1)


@app.command()
def rebuild(
    ctx: typer.Context,
    stage: Stage,
    partition: Partition = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="OFFSET", help="Outputs before it count as written: an offset, start or end. [default: as recorded]"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be read.")] = False,
    as_json: Json = False,
) -> None:
    """Make the state of a stage anew from its input.

    Reads the input from its start to where the lost state stood, writes no output again, then replaces the state at
    once. The workers of the stage must be stopped; what retention took is not part of the new state.
    """
    from iskra.apps import state

    settings = settings_of(ctx)
    upto = _until(until)
    meant = state.destinations(settings, stage, partition)
    if not dry_run:
        state.require_stopped(meant, settings, talk)
    for to in meant:
        place = f"{stage} partition {to.partition}"
        first, end = state.plan_rebuild(to, settings, upto)
        if dry_run:
            data({"stage": stage, "partition": to.partition, "from": first, "until": end}) if as_json else data(
                f"{place}: would fold offsets {first} to {end} of {to.input.topic}"
            )
            continue
        talk(f"{place}: folding offsets {first} to {end} of {to.input.topic}")
        one = state.rebuilt(to, settings, until=end, progress=_Progress(place))
        _show(one, as_json=as_json)


class _Progress:
    """Tells now and then how far it is."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._told = time.monotonic()

    def __call__(self, position: int, end: int) -> None:
        if time.monotonic() - self._told >= _TELL_EVERY_S:
            self._told = time.monotonic()
            talk(f"{self._place}: at offset {position} of {end}")


def _until(text: str | None) -> Until:
    if text is None:
        return None
    if text == "start":
        return "start"
    if text == "end":
        return "end"
    if not text.isascii() or not text.isdigit():
        raise SettingsProblem([f"--until {text!r}: it is an offset, start or end"])
    return int(text)


def _show(one: Shown, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        data(asdict(one))
        return
    counts = " ".join(f"{name}={times}" for name, times in sorted(one.counts.items()))
    position = "-" if one.position is None else str(one.position)
    more = [f"gap={one.gap}"] if one.gap else []
    more += [f"lost={one.lost_by_retention}"] if one.lost_by_retention else []
    more += [f"unaccounted={one.unaccounted}"] if one.unaccounted else []
    words = " ".join(part for part in (counts, *more) if part)
    data(
        f"{one.stage:<10} {one.partition:>3}  at {position} of {one.log_start}..{one.log_end}  "
        f"{one.keys} keys, {one.bytes} bytes  {words}".rstrip()
    )
    if one.refused is not None:
        data(f"{'':<10} {one.partition:>3}  a worker would not start: {one.refused}")
