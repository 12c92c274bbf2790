"""The demo's agent process: so many links, each through its own port of the fault proxy, until SIGTERM.

``python -m iskra.demo.links --seed 7 PORT PORT …``; Kafka as the environment says, on the demo's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import Sequence

from iskra.settings import DEMO_CLOCK
from pipeline.agents.agent import Agent
from pipeline.agents.core.options import AgentOptions
from pipeline.agents.environ import kafka_target

__all__ = ["AGENT", "connection_id", "main"]

AGENT = "demo"


def connection_id(link: int) -> str:
    """What link number ``link`` is called everywhere: ``demo/link-07``."""
    return f"{AGENT}/link-{link:02d}"


async def _hold(ports: Sequence[int], seed: int) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    agent = Agent(
        AGENT,
        options=AgentOptions().scaled(DEMO_CLOCK),
        kafka=kafka_target(),
        rng=random.Random(seed),  # noqa: S311 - the demo's dice, not a secret
    )
    async with agent:
        for link, port in enumerate(ports):
            name = connection_id(link)
            await agent.open(
                name.partition("/")[2], [f"ws://127.0.0.1:{port}/"], connection_id=name, keep_messages=False
            )
        await stop.wait()
    return 3 if agent.left else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold the links; 0, or 3 when events were left that Kafka did not take."""
    parser = argparse.ArgumentParser(prog="iskra.demo.links")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("ports", type=int, nargs="+")
    given = parser.parse_args(arguments)
    return asyncio.run(_hold(given.ports, given.seed))


if __name__ == "__main__":
    sys.exit(main())
