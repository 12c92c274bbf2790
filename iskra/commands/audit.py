"""``iskra audit``: what the log proves, over the topics of the cluster."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated

import typer

from iskra.commands.common import data, millis, settings_of, talk
from iskra.problems import Problem, SettingsProblem

__all__ = ["audit"]


def audit(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="WHEN", help="2h ago, or 2026-01-31T12:00Z. Left out: the whole log."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="The same. Left out: all that can no longer change.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Prove from the log that no event was lost or counted twice and each score is right.

    Reads committed records without a group and changes nothing. Exit 1: broken, or not to be judged.
    """
    from kafka.errors import KafkaError

    from iskra.apps import cluster
    from iskra.apps.auditing import AUDITED, read_cluster
    from iskra.apps.worker import registry_of
    from iskra.chaos.checker import as_data, as_lines, judge
    from schemas.topics import ALL

    begin, end = _instant("--from", since), _instant("--to", until)
    if begin is not None and end is not None and begin >= end:
        raise SettingsProblem([f"--from {since} is not before --to {until}"])
    settings = settings_of(ctx)
    options = settings.kafka.options()
    registry = registry_of(settings.scoring)
    try:
        with cluster.admin(options) as admin, cluster.consumer(options, fetch_max_wait_ms=50) as consumer:
            cluster.require_created(admin, [options.topic(topic.name) for topic in ALL])
            evidence = read_cluster(consumer, admin, settings, registry, since=begin, until=end, progress=talk)
    except KafkaError as error:
        msg = f"the Kafka at {options.bootstrap} does not let itself be read: {type(error).__name__}"
        raise Problem(msg) from error
    report = judge(evidence, talk, table=AUDITED)
    if as_json:
        data(as_data(report))
    else:
        for line in as_lines(report):
            data(line)
    raise typer.Exit(report.exit_code)


def _instant(option: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of ``2h`` (ago) or of a time with its offset."""
    if text is None:
        return None
    try:
        return time.time_ns() // 1_000_000 - millis(text.removesuffix("ago"))
    except SettingsProblem:
        pass
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsProblem(
            [f"{option} {text[:64]!r} is no time: write 30m, 2h, 1d (ago) or 2026-01-31T12:00Z"]
        ) from None
    return int(moment.timestamp() * 1_000)
