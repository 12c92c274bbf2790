"""``iskra tap``: look at a topic."""

from __future__ import annotations

from typing import Annotated

import typer

from iskra.commands.common import data, millis, settings_of
from iskra.problems import SettingsProblem

__all__ = ["tap"]


def tap(
    ctx: typer.Context,
    topic: Annotated[
        str, typer.Argument(help="voices, scores, events, rejected, late, alerts, intents, … or a whole name.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per record, value and headers in it.")
    ] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="End after so many records.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the first record kept, not from now.")
    ] = False,
    since: Annotated[str | None, typer.Option(help="From so long ago: 30s, 10m, 2h.")] = None,
    wait: Annotated[str | None, typer.Option(help="End when nothing came for so long: 5s.")] = None,
) -> None:
    """Print the records of a topic.

    As they are committed, without a group, changing nothing.
    """
    from iskra.apps import cluster
    from iskra.apps.tapping import as_data, as_line, logical_name, records

    if from_beginning and since is not None:
        raise SettingsProblem(["--from-beginning and --since exclude each other"])
    options = settings_of(ctx).kafka.options()
    name = options.topic(logical_name(topic))
    ago = millis(since) if since is not None else None
    patience = millis(wait) if wait is not None else None
    with cluster.admin(options) as admin:
        cluster.require_created(admin, [name])
    with cluster.consumer(options) as consumer:
        stream = records(consumer, name, ago_ms=ago, from_beginning=from_beginning, patience_ms=patience)
        for number, record in enumerate(stream, start=1):
            data(as_data(record) if as_json else as_line(record))
            if number == count:
                return
