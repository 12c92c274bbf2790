"""Named places where a test may end the process: a no-op in the product.

The names are those of the reliability page; only a test entry point installs a hook.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["POINTS", "crashpoint", "install"]

POINTS = (
    "batch.received",
    "slice.applied",
    "tick.applied",
    "cut.taken",
    "transaction.begun",
    "outputs.some",
    "outputs.acked",
    "state.acked",
    "offsets.sent",
    "commit.sent",
    "commit.acked",
    "producer.opened",
    "restore.some",
    "revoke.checkpoint",
    "sending.committed",
    "reply.ok",
)
"""Points the runtime itself passes; a processor's own calls may add more."""

_hooks: list[Callable[[str], None]] = []


def install(hook: Callable[[str], None]) -> Callable[[], None]:
    """Call ``hook`` with the name of each point passed from now on; the result takes it away again."""
    _hooks.append(hook)
    return lambda: _hooks.remove(hook)


def crashpoint(name: str) -> None:
    """Pass the point ``name``."""
    if _hooks:
        for hook in _hooks:
            hook(name)
