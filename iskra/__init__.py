"""The names that users import. Each is loaded when it is first used, so that an import of one costs only that one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.agents.agent import Agent, Link, LinkClosedError, LinkError, LinkFailedError, SendError
    from pipeline.agents.core.options import AgentOptions, KafkaTarget
    from schemas.events import ConnectionEvent
    from schemas.scores import ScoreRecord
    from schemas.types import VoiceName
    from schemas.voices import VoiceRecord

__all__ = [
    "Agent",
    "AgentOptions",
    "ConnectionEvent",
    "KafkaTarget",
    "Link",
    "LinkClosedError",
    "LinkError",
    "LinkFailedError",
    "ScoreRecord",
    "SendError",
    "VoiceName",
    "VoiceRecord",
]

_HOMES: Final = {
    "Agent": "pipeline.agents.agent",
    "AgentOptions": "pipeline.agents.core.options",
    "ConnectionEvent": "schemas.events",
    "KafkaTarget": "pipeline.agents.core.options",
    "Link": "pipeline.agents.agent",
    "LinkClosedError": "pipeline.agents.agent",
    "LinkError": "pipeline.agents.agent",
    "LinkFailedError": "pipeline.agents.agent",
    "ScoreRecord": "schemas.scores",
    "SendError": "pipeline.agents.agent",
    "VoiceName": "schemas.types",
    "VoiceRecord": "schemas.voices",
}


def __getattr__(name: str) -> object:
    """Load a name from its home."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What can be imported."""
    return sorted(__all__)
