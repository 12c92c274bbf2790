"""``iskra chaos``: break everything on purpose and prove that nothing was lost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iskra.commands.common import data, talk
from iskra.problems import SettingsProblem

__all__ = ["app"]

app = typer.Typer(
    help="Break everything on purpose; files and a checker say what came of it.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Seed = Annotated[int, typer.Option(min=0, max=1_000_000, help="The same seed: the same events, the same faults.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@app.command()
def soak(
    minutes: Annotated[int, typer.Option(min=1, max=1_440, help="How long faults go on.")] = 10,
    seed: Seed = 1,
    nodes: Annotated[int, typer.Option(min=1, max=3, help="Of the broker: 1, or 3 behind a fault proxy each.")] = 3,
    directory: Annotated[Path, typer.Option("--dir", help="Ledger and logs lie here; emptied first.")] = Path(
        ".iskra", "soak"
    ),
    as_json: Json = False,
) -> None:
    """Real workers and a real broker under kills, pauses, stops, outages and bad links; then the checker.

    Exit 0: nothing lost, nothing seen twice, every invariant held, and the faults really bit.
    """
    from iskra.chaos.soak import soak as run

    if nodes == 2:
        raise SettingsProblem(["--nodes is 1 or 3: two survive no fault that one does not"])
    talk(f"seed {seed}, {minutes} min, {nodes} {'nodes' if nodes > 1 else 'node'}")
    soaked = run(seed=seed, minutes=minutes, nodes=nodes, home=directory, say=talk)
    if as_json:
        data(soaked.as_data())
    else:
        for line in soaked.as_lines():
            data(line)
    raise typer.Exit(soaked.exit_code)


@app.command()
def kills(
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="How many runs of about 20 s, one after another.")] = 100,
    seed: Seed = 1,
    directory: Annotated[Path, typer.Option("--dir", help="What is not green stays here; emptied first.")] = Path(
        ".iskra", "kills"
    ),
    results: Annotated[
        Path | None, typer.Option(help="Write kills.json and kills.md here, anew after each run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Short runs in which workers are killed with SIGKILL every two seconds, each judged by the checker."""
    from iskra.chaos.kills import kills as run

    series = run(runs=runs, seed=seed, home=directory, say=talk, written=results)
    data(series.as_data() if as_json else series.as_markdown())
    raise typer.Exit(0 if series.green else 1)
