"""What a peer published about each window against the brute-force oracle of its job."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from benchmarks.ground import Filled, Ground
from benchmarks.means import Mean, Window, beat_of, differences, means

from .contract import Agreement, Peer

__all__ = ["compared", "told_in_json"]


class _Told(msgspec.Struct):
    start: int
    total: float
    count: int


def compared(peer: Peer, ground: Ground, filled: Filled) -> Agreement:
    """Every window that either side knows."""
    records = ground.read(filled.topic)
    beats = [beat for one in records if (beat := beat_of(one.partition, one.key or b"", one.value or b"")) is not None]
    told, expected = peer.told(ground, filled), means(beats, peer.lateness)
    return Agreement(len(records), len(told.keys() | expected.keys()), differences(told, expected))


def told_in_json(ground: Ground, topic: str) -> Mapping[Window, Mean]:
    """The last record of each window: key the link, value ``{"start", "total", "count", …}``."""
    found: dict[Window, Mean] = {}
    for one in ground.read(topic):
        if one.key is not None and one.value is not None:
            told = msgspec.json.decode(one.value, type=_Told)
            found[Window(one.key, told.start)] = Mean(told.total, told.count)
    return found
