"""What a worker would make of one event: verdict, reason, path, evidence. Decoder and weights are the worker's."""

from __future__ import annotations

from typing import Any

from pipeline.scoring.evidence import PICO, weigh
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_event
from schemas.registry import DeltaRegistry
from schemas.rejects import Rejected
from schemas.types import Instant, Origin

__all__ = ["verdict"]


def verdict(
    value: bytes, key: bytes | None, now: Instant, registry: DeltaRegistry, rules: ScoreRules
) -> dict[str, Any]:
    """The verdict as data for one JSON line.

    Shape: ``verdict`` accepted or rejected, ``reason`` and ``path`` of a rejected one, ``evidence`` of an accepted one.
    Units: harm 0..1; success and failure in events' worth, Ω times share.
    """
    read = decode_event(value, Origin(key=key, partition=0, offset=0, broker_ts=now), registry)
    if isinstance(read, Rejected):
        return {"verdict": "rejected", "reason": read.reason.value, "path": read.path, "evidence": None}
    weight = weigh(read, registry.rows.get(read.delta), rules)
    evidence = {
        "connection_id": read.connection_id,
        "delta": read.delta,
        "known": read.known,
        "seam_id": read.seam_id,
        "dimension": read.dimension,
        "omega": read.omega,
        "harm": round(weight.harm, 6),
        "success": round(weight.success / PICO, 6),
        "failure": round(weight.failure / PICO, 6),
        "anomaly": weight.anomaly,
        "link": None if weight.link is None else weight.link.name.lower(),
        "unknown_fields": list(read.unknown_fields),
    }
    return {"verdict": "accepted", "reason": None, "path": None, "evidence": evidence}
