"""``iskra event check``: the worker's verdict as data."""

from __future__ import annotations

import pytest

from iskra.apps.checking import verdict
from pipeline.scoring.rules import ScoreRules
from schemas.registry import builtin_registry

NOW = 1_700_000_000_000
EXAMPLE = b"""{"delta": "connection_failed", "dimension": 3, "omega": 0.8,
 "lambda": "attempt_reconnection_with_backoff", "fractal_metadata": {}}"""


def test_an_accepted_event_comes_with_its_evidence() -> None:
    said = verdict(EXAMPLE, b"c-1", NOW, builtin_registry(), ScoreRules())
    assert said == {
        "verdict": "accepted",
        "reason": None,
        "path": None,
        "evidence": {
            "connection_id": "c-1",
            "delta": "connection_failed",
            "known": True,
            "seam_id": "network_infrastructure",
            "dimension": 3,
            "omega": 0.8,
            "harm": 0.590051,
            "success": 0.0,
            "failure": 0.8,
            "anomaly": True,
            "link": "down",
            "unknown_fields": [],
        },
    }


@pytest.mark.parametrize(
    ("value", "key", "reason", "path"),
    [
        (b"", b"c-1", "empty", None),
        (b"{", b"c-1", "not_json", None),
        (b"{}", b"c-1", "missing_field", "delta"),
        (EXAMPLE, None, "missing_field", "connection_id"),
        (EXAMPLE.replace(b"0.8", b"1.8"), b"c-1", "out_of_range", "omega"),
    ],
)
def test_a_rejected_event_comes_with_reason_and_path(
    value: bytes, key: bytes | None, reason: str, path: str | None
) -> None:
    said = verdict(value, key, NOW, builtin_registry(), ScoreRules())
    assert said == {"verdict": "rejected", "reason": reason, "path": path, "evidence": None}
