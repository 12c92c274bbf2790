"""What goes wrong, by request: faults that a test or a demo writes down beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

__all__ = ["Fault", "Script"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for the next ``times`` requests of an endpoint."""

    endpoint: str
    """``chat.postMessage``, ``v2/enqueue``…, or ``*``."""
    times: int = 1
    status: int | None = None
    """Answer with this status instead of processing the request."""
    error: str | None = None
    """Slack's error name (with status 200 unless one is given)."""
    body: str | None = None
    """Answer with exactly this body."""
    retry_after: str | None = None
    """The header, as it stands."""
    location: str | None = None
    """Redirect there."""
    delay_s: float = 0.0
    cut: Literal["before", "after"] | None = None
    """Cut the connection instead of answering: before or after the request took effect."""
    process: bool = False
    """Let the request take effect although the answer says otherwise."""
    answer_bytes: int = 0
    """Answer with so many bytes of filler."""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Fault:
        """A fault from plain data; unknown names are an error."""
        names = {field.name for field in fields(cls)}
        unknown = set(plain) - names
        if unknown:
            message = f"unknown fields of a fault: {sorted(unknown)}, known are {sorted(names)}"
            raise ValueError(message)
        return cls(**plain)


class Script:
    """The faults still to come, in order."""

    def __init__(self) -> None:
        """None yet."""
        self._faults: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Write down more."""
        self._faults.extend(faults)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def next_for(self, endpoint: str) -> Fault | None:
        """The fault of this request, used up by it."""
        for at, fault in enumerate(self._faults):
            if fault.endpoint in {endpoint, "*"}:
                if fault.times > 1:
                    self._faults[at] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[at]
                return fault
        return None
