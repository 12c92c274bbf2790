"""``iskra event``: what a worker would make of an event, and sending one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from iskra.commands.common import data, documents, read_bytes, settings_of, talk

__all__ = ["app"]

app = typer.Typer(help="Events: check them, send them.", rich_markup_mode=None, no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE|-", help="An event per line, or one over several; - is stdin.")]
Key = Annotated[str | None, typer.Option(help="The Kafka key: the connection's id.")]


@app.command()
def check(
    ctx: typer.Context,
    file: File,
    key: Key = "c-1",
    _as_json: Annotated[bool, typer.Option("--json", help="Taken like everywhere: the lines are always JSON.")] = True,
) -> None:
    """Say what a worker would make of each event.

    Accepted, or the reason and place why not, and what it would weigh; exit 1 if one is rejected.
    """
    import time

    from iskra.apps.checking import verdict
    from iskra.apps.worker import registry_of

    settings = settings_of(ctx)
    rules = settings.scoring.rules(settings.clock_divisor)
    registry = registry_of(settings.scoring)
    rejected = 0
    for number, value in documents(read_bytes(file)):
        said = verdict(value, key.encode() if key else None, time.time_ns() // 1_000_000, registry, rules)
        rejected += said["verdict"] == "rejected"
        data({"line": number, **said})
    raise typer.Exit(1 if rejected else 0)


@app.command()
def send(
    ctx: typer.Context,
    file: File,
    key: Key = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event with its place.")] = False,
) -> None:
    """Send events to the events topic, bytes as they are; without --key the event's connection_id is the key."""
    from iskra.apps import cluster
    from schemas.topics import EVENTS

    options = settings_of(ctx).kafka.options()
    topic = options.topic(EVENTS)
    events = [(number, value, key or _connection_id(value)) for number, value in documents(read_bytes(file))]
    if dry_run:
        for number, value, name in events:
            data({"line": number, "topic": topic, "key": name, "bytes": len(value)})
        return
    with cluster.admin(options) as admin:
        cluster.require_created(admin, [topic])
    with cluster.producer(options) as producer:
        sent = [(number, name, producer.send(topic, key=_bytes(name), value=value)) for number, value, name in events]
        for number, name, future in sent:
            place = future.get(timeout=30)
            if as_json:
                data(
                    {"line": number, "topic": topic, "key": name, "partition": place.partition, "offset": place.offset}
                )
    talk(f"sent {len(events)} to {topic}")


def _bytes(key: str | None) -> bytes | None:
    return None if key is None else key.encode()


def _connection_id(value: bytes) -> str | None:
    try:
        event: Any = json.loads(value)
    except (ValueError, RecursionError):
        return None
    name = event.get("connection_id") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None
