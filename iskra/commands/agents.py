"""``iskra agent``: an agent, and a server for it to hold links to."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from iskra.commands.common import settings_of
from iskra.problems import SettingsProblem, Unreachable

__all__ = ["app"]

app = typer.Typer(help="Connection agents, and the reference server.", rich_markup_mode=None, no_args_is_help=True)


@app.command()
def run(
    ctx: typer.Context,
    url: Annotated[list[str], typer.Option("--url", help="ws:// or wss:// endpoint to hold a link to; may repeat.")],
    name: Annotated[str, typer.Option(help="The agent's name; connections are NAME/link-1, NAME/link-2, …")] = "agent",
    publisher: Annotated[str, typer.Option(help="Where events go: kafka or stdout.")] = "kafka",
) -> None:
    """Hold links open and publish what happens to them, until SIGTERM or Ctrl-C."""
    import asyncio

    from iskra.apps.agent import kafka_target
    from pipeline.agents.running import run as run_agent

    if publisher not in {"kafka", "stdout"}:
        raise SettingsProblem([f"--publisher {publisher!r} is none: kafka or stdout"])
    strange = next((one for one in url if not one.startswith(("ws://", "wss://"))), None)
    if strange is not None:
        raise SettingsProblem([f"--url {strange!r} is no WebSocket endpoint: ws:// or wss://"])
    settings = settings_of(ctx)
    kind: Literal["kafka", "stdout"] = "kafka" if publisher == "kafka" else "stdout"
    try:
        code = asyncio.run(
            run_agent(url, name=name, options=settings.agent, publisher=kind, kafka=kafka_target(settings.kafka))
        )
    except ValueError as error:
        raise SettingsProblem([str(error)]) from error
    raise typer.Exit(code)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8765,
    mode: Annotated[str, typer.Option(help="echo or broadcast.")] = "echo",
) -> None:
    """Run the reference server (WebSocket) until SIGTERM or Ctrl-C."""
    import asyncio

    from pipeline.agents.running import serve as serve_until_signal

    if mode not in {"echo", "broadcast"}:
        raise SettingsProblem([f"--mode {mode!r} is none: echo or broadcast"])
    kind: Literal["echo", "broadcast"] = "echo" if mode == "echo" else "broadcast"
    try:
        code = asyncio.run(serve_until_signal(host, port, mode=kind))
    except OSError as error:
        msg = f"cannot listen on {host}:{port} ({error.strerror}): choose another with --port"
        raise Unreachable(msg) from error
    raise typer.Exit(code)
