"""The ∆DΩΛ event as publishers make it: the contract of ``events.v1``.

``delta`` alone is required: what a registry knows of it fills the rest, the record's key and timestamp give the link
and the time. On the wire an absent field is left out; ``null`` is refused there. The whole of the rules for bytes from
anywhere is in ``admission``; what this model makes, that accepts.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .fields import MAX_TEXT
from .names import DELTA_PATTERN, MAX_EVENT_ID, MAX_ID, SEAM_PATTERN, has_id_characters
from .timestamps import instant_of_integer, instant_of_text
from .types import Instant

__all__ = ["ConnectionEvent", "EventData", "FractalMetadata"]


def _seen(text: str) -> str:
    if not has_id_characters(text):
        message = "an id has no invisible characters"
        raise ValueError(message)
    return text


def _instant(value: object) -> object:
    """Text becomes milliseconds; what is neither is left to the type."""
    if isinstance(value, str):
        instant = instant_of_text(value)
        problem = "not an RFC 3339 time with an offset"
    elif type(value) is int:
        instant = instant_of_integer(value)
        problem = "not milliseconds since the epoch"
    else:
        return value
    if instant is None:
        raise ValueError(problem)
    return instant


def _absent(value: object) -> bool:
    return value is None


_T = TypeVar("_T")

_Unsaid: TypeAlias = Annotated[_T | None, Field(exclude_if=_absent)]
_Name: TypeAlias = Annotated[str, Field(pattern=rf"^{DELTA_PATTERN}\z")]
_Seam: TypeAlias = Annotated[str, Field(pattern=rf"^{SEAM_PATTERN}\z")]
_Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID), AfterValidator(_seen)]
_EventId: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_EVENT_ID), AfterValidator(_seen)]
_Unit: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]
_Time: TypeAlias = Annotated[Instant, BeforeValidator(_instant, json_schema_input_type=int | str)]


class _Said(BaseModel):
    """What is None is not said and does not come out again; what nobody knows is kept."""

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, serialize_by_alias=True, validate_by_alias=True, validate_by_name=True
    )


class FractalMetadata(_Said):
    """Where the event belongs, and what the reporter claims of this one event."""

    voice_pain: _Unsaid[_Unit] = None
    voice_chaos: _Unsaid[_Unit] = None
    voice_trust: _Unsaid[_Unit] = None
    seam_id: _Unsaid[_Seam] = None
    """The boundary concerned; else that of the registry."""


class EventData(_Said):
    """What is worth knowing beside the change, at most 8 KiB. Any further field may be added."""

    latency_ms: _Unsaid[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = None
    close_code: _Unsaid[Annotated[int, Field(ge=1000, le=4999)]] = None
    attempt: _Unsaid[Annotated[int, Field(ge=1, le=2**31 - 1)]] = None
    error_category: _Unsaid[_Text] = None
    transport: _Unsaid[_Text] = None
    endpoint: _Unsaid[_Text] = None
    reason: _Unsaid[_Text] = None


class ConnectionEvent(_Said):
    """A value of ``events.v1``; key = connection id."""

    delta: _Name
    """∆: what changed, a fact in the past tense."""
    dimension: _Unsaid[Annotated[int, Field(ge=1, le=10)]] = None
    """D: how many mechanisms are involved; 1 is routine."""
    omega: _Unsaid[_Unit] = None
    """Ω: how sure the reporter is that ∆ happened as described; never severity."""
    lambda_: _Unsaid[_Name] = Field(default=None, alias="lambda")
    """Λ: the next step the reporter intends."""
    fractal_metadata: _Unsaid[FractalMetadata] = None
    event_id: _Unsaid[_EventId] = None
    """A given id is scored once."""
    connection_id: _Unsaid[_Id] = None
    """The logical link, which survives reconnects; else the record's key."""
    ts: _Unsaid[_Time] = None
    """When it was observed; else the record's timestamp."""
    session_id: _Unsaid[_Id] = None
    """One life of a socket."""
    episode_id: _Unsaid[_Id] = None
    """One outage."""
    agent_id: _Unsaid[_Id] = None
    """Who reports."""
    trace_id: _Unsaid[_Id] = None
    parent_id: _Unsaid[_Id] = None
    seq: _Unsaid[Annotated[int, Field(ge=0, le=2**63 - 1)]] = None
    """Counts per agent: a gap is lost telemetry."""
    lambda_deadline_s: _Unsaid[Annotated[int, Field(ge=1, le=86_400)]] = None
    """By when the intended step should be visible; 60 if not said."""
    data: _Unsaid[EventData] = None
    experiment_id: _Unsaid[_Id] = None
    """Scored in a key space of its own, never pages."""
    schema_version: Annotated[str, Field(pattern=r"^1\.(0|[1-9][0-9]{0,5})\z")] = "1.0"
