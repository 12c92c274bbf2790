"""``iskra demo``: everything at once, for two minutes."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    seed: Annotated[int, typer.Option(help="The dice of weather and agents.")] = 7,
    check: Annotated[bool, typer.Option("--check", help="Plain lines, once; the exit code is the verdict.")] = False,
) -> None:
    """See it work: two minutes.

    A real Kafka, workers, 60 real links, bad weather, a fake Slack and PagerDuty.
    """
    from iskra.demo.main import run

    raise typer.Exit(run(seed=seed, check=check))
