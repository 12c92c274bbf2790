"""A role as a process: build the app, run it in the foreground, say by the exit code how it ended.

Exit codes: 0 stopped as asked · 1 a processor or call raised · 2 refused to start (topics, state) · 3 no broker ·
4 fenced by a newer owner · 5 a partition failed three times in a row · 6 stalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.config
import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError

from .contract import Stage
from .faust_seam import ForegroundWorker, IskraApp
from .instruments import Instruments, Started, StartRefused, Stopped
from .lane import Verdict
from .lanes import Lanes
from .opening import StartRefusedError
from .options import KafkaOptions, RuntimeOptions
from .probes import Probes
from .seldom import Seldom
from .watchdog import watch

__all__ = ["EXIT_CODES", "build_app", "run_worker"]

EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.PROCESSOR: 1,
    Verdict.REFUSED: 2,
    Verdict.UNREACHABLE: 3,
    Verdict.FENCED: 4,
    Verdict.FAILING: 5,
    Verdict.STALLED: 6,
}
_STOP_WITHIN = 27.0
_END_WITHIN = 10.0
_NUMBERED = re.compile(r"-\d+\Z")


def build_app(
    role: str, stages: Sequence[Stage], kafka: KafkaOptions, runtime: RuntimeOptions, member: str
) -> faust.App:
    """The Faust app of a role.

    A numbered member (``scorer-0``) is a static member of its group: after a restart it gets its partitions back
    without a rebalance. A bare name joins anew each time.
    """
    return _build(role, stages, kafka, runtime, member, Instruments(role))


def _build(
    role: str,
    stages: Sequence[Stage],
    kafka: KafkaOptions,
    runtime: RuntimeOptions,
    member: str,
    instruments: Instruments,
) -> IskraApp:
    lanes = Lanes(role, stages, kafka, runtime, member=member, instruments=instruments)
    static = f"{kafka.topic_prefix}-{member}" if _NUMBERED.search(member) else None
    return IskraApp(lanes, kafka, static_member=static)


def run_worker(
    role: str,
    stages: Sequence[Stage],
    kafka: KafkaOptions,
    runtime: RuntimeOptions,
    member: str,
    *,
    port: int | None = None,
    version: str = "0",
    logging_config: Mapping[str, Any] | None = None,
    reach_within_s: float = 30.0,
) -> int:
    """Run a role until SIGTERM or SIGINT; the answer is the exit code.

    Shape: ``port`` of the probes on 127.0.0.1, 0 takes a free one, None means none. ``logging_config`` goes to
    ``logging.config.dictConfig``; None leaves logging as it is. A broker that is not there yet is waited for
    ``reach_within_s``.
    """
    if logging_config is not None:
        logging.config.dictConfig(dict(logging_config))
    seldom = Seldom()
    for handler in logging.getLogger().handlers:
        handler.addFilter(seldom)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    instruments = Instruments(role, version)
    app = _build(role, stages, kafka, runtime, member, instruments)
    lanes = app.lanes
    lanes.reach_within = reach_within_s
    probes = Probes(lanes, port) if port is not None else None
    worker = ForegroundWorker(app, *([probes] if probes is not None else []), loop=loop)

    def end(verdict: Verdict, _reason: str) -> None:
        _end_process_after(_END_WITHIN, EXIT_CODES[verdict])
        worker.end()

    def begin() -> None:
        bound = probes.port if probes is not None else None
        instruments.tell(Started(member, lanes.group, tuple(stage.name for stage in stages), bound))
        app.add_future(watch(lanes, lambda: app.rebalancing))

    lanes.on_end = end
    app.on_begin = begin
    worker.on_signal = lambda: _end_process_after(_STOP_WITHIN, 1)
    try:
        code, reason = _run(loop, worker, lanes)
    finally:
        _close(loop)
    instruments.tell(Stopped(code, reason))
    return code


def _run(loop: asyncio.AbstractEventLoop, worker: ForegroundWorker, lanes: Lanes) -> tuple[int, str]:
    """Exit code and reason."""
    error: BaseException | None = None
    try:
        loop.run_until_complete(worker.run())
    except asyncio.CancelledError:
        pass
    except Exception as caught:  # noqa: BLE001 - the crash-only boundary
        error = caught
    error = error or worker.crash_reason
    if isinstance(error, asyncio.CancelledError):
        # Stopped in the middle of a rebalance: what mode calls a crash of its fetcher is the stop itself.
        error = None
    if isinstance(error, StartRefusedError) and lanes.ended is None:
        lanes.ended = (Verdict.REFUSED, str(error))
    elif isinstance(error, (KafkaError, OSError)) and lanes.ended is None:
        lanes.ended = (Verdict.UNREACHABLE, f"no broker: {type(error).__name__}: {error}")
    if lanes.ended is not None:
        verdict, reason = lanes.ended
        if verdict is Verdict.REFUSED:
            lanes.instruments.tell(StartRefused(reason))
        return EXIT_CODES[verdict], reason
    if error is not None:
        return 1, f"{type(error).__name__}: {error}"
    return 0, "asked to stop"


def _close(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(Exception):
        loop.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2.0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


def _end_process_after(seconds: float, code: int) -> None:
    """The process ends by then, even if something does not let go."""

    def end() -> None:
        logging.getLogger(__name__).error("stop_hangs")
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
