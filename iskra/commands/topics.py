"""``iskra topics``: what the cluster should have, and making it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from iskra.commands.common import data, settings_of, talk

if TYPE_CHECKING:
    from iskra.apps.topics import Step

__all__ = ["app"]

app = typer.Typer(help="The topics on the cluster.", rich_markup_mode=None, no_args_is_help=True)

Partitions = Annotated[
    int | None,
    typer.Option(min=1, max=1_000, help="Of every topic that has more than one by default; left out, 12 or 6."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per topic.")]


def _show(steps: list[Step], *, as_json: bool) -> None:
    for step in steps:
        if as_json:
            data(
                {
                    "topic": step.topic,
                    "action": step.action,
                    "partitions": step.partitions,
                    "config": dict(step.config),
                    "note": step.note or None,
                }
            )
        else:
            config = " ".join(f"{key}={value}" for key, value in step.config.items())
            note = f"  ({step.note})" if step.note else ""
            data(f"{step.action:<7} {step.topic:<32} {step.partitions:>3}  {config}{note}".rstrip())


def _plan(ctx: typer.Context, partitions: int | None, *, carry_out: bool) -> list[Step]:
    from iskra.apps import cluster, topics
    from schemas.topics import planned

    options = settings_of(ctx).kafka.options()
    wanted = planned(partitions)
    with cluster.admin(options) as admin:
        present = topics.describe(admin, [options.topic(topic.name) for topic in wanted])
        steps = topics.plan(wanted, present, options.topic_prefix, partitions_given=partitions is not None)
        if carry_out:
            topics.apply(admin, steps)
    return steps


@app.command()
def plan(
    ctx: typer.Context,
    partitions: Partitions = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if anything is pending.")] = False,
    as_json: Json = False,
) -> None:
    """Show what `topics apply` would create, change and keep."""
    steps = _plan(ctx, partitions, carry_out=False)
    _show(steps, as_json=as_json)
    if check and any(step.action != "keep" for step in steps):
        talk("pending: iskra topics apply")
        raise typer.Exit(1)


@app.command()
def apply(
    ctx: typer.Context,
    partitions: Partitions = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    as_json: Json = False,
) -> None:
    """Create and change topics; nothing is deleted, no partition count changes, the second time does nothing."""
    steps = _plan(ctx, partitions, carry_out=not dry_run)
    _show(steps, as_json=as_json)
    done = sum(step.action != "keep" for step in steps)
    talk(f"{done} of {len(steps)} topics {'to be ' if dry_run else ''}created or changed")
