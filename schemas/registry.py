"""The delta registry: what is known of each kind of event and of each seam, as versioned data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from .names import GENERAL_SEAM, is_delta, is_seam
from .types import Unit

__all__ = [
    "DeltaRegistry",
    "DeltaRow",
    "LinkState",
    "Meaning",
    "Outcome",
    "Population",
    "RegistryError",
    "builtin_registry",
    "load_registry",
    "merged",
]

_BUILTIN: Final = "deltas.v1.toml"
_MEMO_LIMIT: Final = 4096

Meaning: TypeAlias = tuple[bool, str, str, str, int | None, Unit | None]
"""Whether the delta is known, delta, lambda, seam; dimension and omega if the registry has them to fill in."""


class RegistryError(ValueError):
    """A registry file says what no registry can say. Names the place; not retriable."""


class Outcome(StrEnum):
    """What an event says about the connection's reliability. ``LATENCY``: decided by ``data.latency_ms``."""

    SUCCESS = "S"
    FAILURE = "F"
    NEUTRAL = "N"
    LATENCY = "L"


class LinkState(StrEnum):
    """The link state that an event proves."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    CLOSED = "closed"


class Population(StrEnum):
    """Which connections are children of a seam: those that touched it, or all links."""

    TOUCHING = "touching"
    LINKS = "links"


@dataclass(frozen=True, slots=True)
class DeltaRow:
    """One kind of event."""

    delta: str
    severity: Unit
    outcome: Outcome
    state: LinkState | None
    dimension: int
    omega: Unit
    lambda_: str
    seam: str


@dataclass(frozen=True, slots=True)
class DeltaRegistry:
    """Rows by delta, populations by seam. A seam not named here is ``touching``."""

    version: str
    rows: Mapping[str, DeltaRow]
    seams: Mapping[str, Population]
    meanings: dict[tuple[str, str | None, str | None], Meaning] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What ``meaning`` found: of a million events the names are some dozens. Bounded; to be read only."""

    def meaning(self, delta: str, lambda_: str | None, seam_id: str | None) -> Meaning | None:
        """What an event with these names means, with what it leaves out filled in.

        Errors: None if one of them is no name, or if the delta is not known and no next step is said.
        """
        names = (delta, lambda_, seam_id)
        found = self.meanings.get(names)
        if found is not None:
            return found
        fit = is_delta(delta) and (lambda_ is None or is_delta(lambda_)) and (seam_id is None or is_seam(seam_id))
        row = self.rows.get(delta)
        if not fit or (row is None and lambda_ is None):
            return None
        if row is None:
            found = (False, delta, str(lambda_), seam_id or GENERAL_SEAM, None, None)
        else:
            found = (True, delta, lambda_ or row.lambda_, seam_id or row.seam, row.dimension, row.omega)
        if len(self.meanings) >= _MEMO_LIMIT:  # senders choose names; when they choose so many, a memo is no use
            self.meanings.clear()
        self.meanings[names] = found
        return found

    def population(self, seam_id: str) -> Population:
        """Which connections count as children of this seam."""
        return self.seams.get(seam_id, Population.TOUCHING)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The top of a registry file."""

    version: str
    seams: dict[str, Population] = {}
    deltas: dict[str, dict[str, object]] = {}


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a registry file. What a user's row may leave out is here."""

    severity: Annotated[float, Meta(ge=0, le=1)]
    outcome: Outcome
    dimension: Annotated[int, Meta(ge=1, le=10)] = 1
    omega: Annotated[float, Meta(ge=0, le=1)] = 0.8
    state: LinkState | None = None
    lambda_: str = msgspec.field(name="lambda", default="continue_monitoring")
    seam: str = GENERAL_SEAM


@cache
def builtin_registry() -> DeltaRegistry:
    """The registry that comes with the package."""
    return load_registry(files(__package__).joinpath("data", _BUILTIN).read_text(encoding="utf-8"))


def load_registry(text: str) -> DeltaRegistry:
    """Read a registry file (TOML).

    Errors: RegistryError with the place, ``$.deltas.connection_lost.omega``.
    """
    try:
        parsed = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as error:
        message = f"not TOML: {error}"
        raise RegistryError(message) from error
    except msgspec.ValidationError as error:
        raise RegistryError(str(error)) from error
    for seam in parsed.seams:
        if not is_seam(seam):
            message = f"$.seams.{seam}: not a name of a seam"
            raise RegistryError(message)
    rows = {delta: _row(delta, fields) for delta, fields in parsed.deltas.items()}
    return DeltaRegistry(parsed.version, MappingProxyType(rows), MappingProxyType(parsed.seams))


def merged(base: DeltaRegistry, extra: DeltaRegistry) -> DeltaRegistry:
    """Both; where both know a delta or a seam, ``extra`` wins. The version tells of both."""
    return DeltaRegistry(
        version=f"{base.version}+{extra.version}",
        rows=MappingProxyType({**base.rows, **extra.rows}),
        seams=MappingProxyType({**base.seams, **extra.seams}),
    )


def _row(delta: str, fields: dict[str, object]) -> DeltaRow:
    place = f"$.deltas.{delta}"
    try:
        row = msgspec.convert(fields, _Row)
    except msgspec.ValidationError as error:
        message = f"{place}: {error}"
        raise RegistryError(message) from error
    names = ((place, is_delta(delta)), (f"{place}.lambda", is_delta(row.lambda_)), (f"{place}.seam", is_seam(row.seam)))
    for named, fits in names:
        if not fits:
            message = f"{named}: not a name"
            raise RegistryError(message)
    return DeltaRow(delta, row.severity, row.outcome, row.state, row.dimension, row.omega, row.lambda_, row.seam)
