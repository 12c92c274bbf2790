"""``iskra broker``: a local Apache Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iskra.commands.common import data, talk
from iskra.problems import Problem, SettingsProblem

if TYPE_CHECKING:
    from iskra.apps.broker import Broker

__all__ = ["app"]

app = typer.Typer(
    help="A local Apache Kafka: fetched once, started and stopped.", rich_markup_mode=None, no_args_is_help=True
)

Dir = Annotated[Path, typer.Option("--dir", help="Everything the broker writes lies below.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
HERE = Path(".iskra", "broker")


def _show(broker: Broker, *, as_json: bool) -> None:
    if as_json:
        told: dict[str, object] = {"bootstrap": broker.bootstrap, "pid": broker.pid, "dir": str(broker.dir)}
        if broker.size > 1:
            told["pids"] = [node.pid for node in broker.nodes]
        data(told)
    else:
        data(broker.bootstrap)


@app.command()
def fetch(as_json: Json = False) -> None:
    """Get the broker's jars with Maven, checked against their checksums; the second time does nothing."""
    from iskra.apps import broker

    jars = broker.fetch(say=talk)
    data({"kafka": broker.KAFKA_VERSION, "jars": str(jars)} if as_json else str(jars))


@app.command()
def start(
    directory: Dir = HERE,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port on 127.0.0.1; left out, a free one.")
    ] = None,
    nodes: Annotated[
        int, typer.Option(min=1, max=3, help="1, or 3: everything replicated three times, two must have it.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Start the broker, return when it answers, print its address."""
    from iskra.apps import broker

    if nodes > 1 and port is not None:
        raise SettingsProblem(["--port is of one node: leave it out with --nodes 3"])
    _show(broker.start(directory, port, nodes=nodes, say=talk), as_json=as_json)


@app.command()
def stop(directory: Dir = HERE, as_json: Json = False) -> None:
    """End exactly the broker that was started in this directory."""
    from iskra.apps import broker

    stopped = broker.stop(directory)
    if as_json:
        data({"stopped": stopped, "dir": str(directory.absolute())})
    else:
        talk(f"stopped the broker of {directory}" if stopped else f"no broker runs in {directory}")


@app.command()
def status(directory: Dir = HERE, as_json: Json = False) -> None:
    """Print the address of the running broker; exit 1 when none runs, or not all of its nodes."""
    from iskra.apps import broker

    running = broker.status(directory)
    if running is None:
        msg = f"no broker runs in {directory}: iskra broker start --dir {directory}"
        raise Problem(msg)
    _show(running, as_json=as_json)
    if len(running.nodes) < running.size:
        missing = running.size - len(running.nodes)
        msg = (
            f"{missing} of {running.size} nodes do not run: iskra broker start --nodes {running.size} --dir {directory}"
        )
        raise Problem(msg)
