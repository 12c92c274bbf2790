"""Frozen values as state records: written when they are another object than last time, deleted when they are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from pipeline.runtime.contract import StateRecord

__all__ = ["STATE_FORMAT", "Shelf", "open_box"]

STATE_FORMAT = 1
"""Raised when an older worker could misread the state of a newer one."""

T = TypeVar("T")


class _Box(BaseModel):
    v: int
    d: Any


def open_box(record: StateRecord) -> Any:
    """The plain value in a state record.

    Raises:
        ValueError: the record is of a newer format than this worker can read, or is no state record at all.
    """
    box = _Box.model_validate_json(record.value or b"")
    if box.v > STATE_FORMAT:
        message = f"state {record.key!r} has format {box.v}, this worker reads up to {STATE_FORMAT}: update the worker"
        raise ValueError(message)
    return box.d


class Shelf(Generic[T]):
    """All values of one type, each under a prefix and its name."""

    def __init__(self, prefix: str, kind: Any) -> None:
        """The prefix ends in ``|`` and is no other shelf's."""
        self._prefix = prefix
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)
        self._kept: dict[str, T] = {}

    def taken(self, records: Mapping[str, Any]) -> dict[str, T]:
        """The values of the plain records whose key begins with the prefix, as they are in the state topic."""
        self._kept = {
            key.removeprefix(self._prefix): self._adapter.validate_python(value)
            for key, value in records.items()
            if key.startswith(self._prefix)
        }
        return dict(self._kept)

    def changed(self, now: Mapping[str, T]) -> Iterator[StateRecord]:
        """What differs from the last call, by identity: values are frozen, so the same object is the same value."""
        for name, value in now.items():
            if self._kept.get(name) is not value:
                body = self._adapter.dump_json(value)
                yield StateRecord(self._key(name), b'{"v":%d,"d":%b}' % (STATE_FORMAT, body))
        for name in self._kept.keys() - now.keys():
            yield StateRecord(self._key(name), None)
        self._kept = dict(now)

    def _key(self, name: str) -> bytes:
        return (self._prefix + name).encode()
