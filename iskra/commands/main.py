"""``iskra``: the groups of commands, exit codes, and errors as one line.

Exit: 0 good · 1 a check or target failed · 2 usage or configuration · 3 broker or service unreachable.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from iskra.commands import agents, audit, broker, chaos, config, demo, events, running, state, tap, topics, worker
from iskra.commands.common import Common
from iskra.problems import Problem

__all__ = ["app"]


class _OneLine(TyperGroup):
    """Shows a problem as one line on stderr and ends with its exit code; ``--debug`` shows the traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Problem as problem:
            if ctx.params.get("debug"):
                raise
            for line in str(problem).splitlines():
                typer.echo(f"iskra: {line}", err=True)
            raise typer.Exit(problem.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output is gone, as with `iskra tap … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            if ctx.params.get("debug") or error.filename is None:
                raise
            typer.echo(f"iskra: {error.filename}: {error.strerror}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_OneLine,
    name="iskra",
    help="Connection events in, four voices out: Alarm, Concern, Curiosity, Celebration.",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(broker.app, name="broker")
app.add_typer(topics.app, name="topics")
app.add_typer(events.app, name="event")
app.add_typer(agents.app, name="agent")
app.add_typer(config.app, name="config")
app.add_typer(state.app, name="state")
app.add_typer(chaos.app, name="chaos")
app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.command("up")(running.up)
app.command("down")(running.down)
app.command("status")(running.status)
app.command("tap")(tap.tap)
app.command("audit")(audit.audit)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"iskra-voices {version('iskra-voices')}")
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="File of settings instead of ./iskra.{toml,yaml,json}."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    ctx.obj = Common(config=config_file, debug=debug)


if __name__ == "__main__":
    app(prog_name="iskra")
