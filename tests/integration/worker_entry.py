"""Runs the counting role as a process: ``python -m tests.integration.worker_entry``.

Settings as JSON in COUNTING. ``CRASH_AT=name:n`` sends SIGKILL to this process when the point ``name`` is passed the
n-th time, ``name:n:stop`` SIGSTOP.
"""

from __future__ import annotations

import json
import os
import sys

from iskra.chaos.crashing import install_crash
from pipeline.runtime.options import KafkaOptions, RuntimeOptions
from pipeline.runtime.worker import run_worker

from .counting import counting_stage, recounting_stage

_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "iskra.logs.JsonLines", "role": "counting"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["out"], "level": "WARNING"},
    "loggers": {"iskra": {"level": "DEBUG"}},
}


def main() -> int:
    """Run until told to stop."""
    settings = json.loads(os.environ["COUNTING"])
    crash = os.environ.get("CRASH_AT")
    if crash:
        install_crash(crash)
    return run_worker(
        "counting",
        [counting_stage(), recounting_stage()] if settings["recounting"] else [counting_stage()],
        KafkaOptions(bootstrap=settings["bootstrap"], topic_prefix=settings["prefix"]),
        RuntimeOptions(**settings.get("runtime", {})),
        settings["member"],
        port=settings.get("port", 0),
        logging_config=_LOGGING,
        reach_within_s=settings["reach_within_s"],
    )


if __name__ == "__main__":
    sys.exit(main())
