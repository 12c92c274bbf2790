"""``python -m alerts.sinks --port-file FILE``: the sinks as a process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

from .server import Sinks

__all__: list[str] = []


async def _serve(port: int, port_file: Path | None, record_to: Path | None) -> None:
    sinks = Sinks(record_to=record_to)
    await sinks.start(port)
    if port_file is not None:
        where = {"port": sinks.port, "slack": sinks.slack_url, "pagerduty": sinks.pagerduty_url, "base": sinks.base}
        draft = port_file.with_suffix(port_file.suffix + ".new")
        draft.write_text(json.dumps(where), encoding="utf-8")
        draft.replace(port_file)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    await sinks.stop()


def main() -> None:
    """Read the arguments, serve."""
    parser = argparse.ArgumentParser(prog="python -m alerts.sinks", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 is a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the addresses once they answer")
    parser.add_argument("--record-to", type=Path, help="received.jsonl: every request, without secrets")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.port, arguments.port_file, arguments.record_to))


if __name__ == "__main__":
    main()
