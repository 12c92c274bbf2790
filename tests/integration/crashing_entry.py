"""The command line with a crash point armed: ``CRASH_AT=name:n python -m tests.integration.crashing_entry worker …``."""

from __future__ import annotations

import os

from iskra.commands.main import app

from .worker_entry import install_crash

if __name__ == "__main__":
    if os.environ.get("CRASH_AT"):
        install_crash(os.environ["CRASH_AT"])
    app()
