"""Hypothesis strategies for records and for what pretends to be one."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas import wire
from schemas.types import Level, VoiceName

__all__ = [
    "counts",
    "events",
    "json_values",
    "names",
    "partials",
    "progresses",
    "scores",
    "texts",
    "times",
    "units",
    "voices",
]

units = st.floats(0, 1, allow_nan=False)
counts = st.integers(0, 10**9)
times = st.integers(0, 10**14)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.from_regex(r"[a-z][a-z0-9_]{2,20}", fullmatch=True)
ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cs"]), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**99), 10**99) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def _some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_contributors = st.lists(st.builds(wire.ContributorWire, texts, names, units, counts, counts), max_size=5).map(tuple)
_over = st.builds(wire.OverWire, counts, counts, counts)
_level = {
    "children": _some(counts),
    "children_over": _some(_over),
    "worst_child": _some(texts),
    "experiment_id": _some(texts),
}

scores = st.builds(
    wire.ScoreWire,
    id=texts,
    subject=texts,
    level=st.sampled_from(Level),
    window_start=times,
    window_end=times,
    revision=counts,
    pain=units,
    chaos=units,
    trust=units,
    omega=st.builds(wire.OmegasWire, units, units, units),
    dimension=st.integers(1, 10),
    counts=st.builds(wire.CountsWire, counts, counts, counts, counts),
    link_state=_some(st.sampled_from(["up", "degraded", "down", "closed", "unknown"])),
    contributors=_contributors,
    entropy=st.floats(0, 64),
    **_level,
)

voices = st.builds(
    wire.VoiceWire,
    id=texts,
    delta=st.sampled_from(["voice_raised", "voice_changed", "voice_cleared", "voice_celebrated", "voice_held"]),
    dimension=st.integers(1, 10),
    omega=units,
    lambda_=names,
    fractal_metadata=st.builds(wire.VoiceMetadataWire, units, units, units, names),
    subject=texts,
    level=st.sampled_from(Level),
    voice=st.sampled_from(VoiceName),
    window_start=times,
    window_end=times,
    since=times,
    revision=counts,
    episode_id=texts,
    previous_episode_id=_some(texts),
    previous_voice=_some(st.sampled_from(VoiceName)),
    reason=_some(st.sampled_from(["recovered", "faded", "revised", "forgotten"])),
    thresholds=st.builds(wire.ThresholdsWire, *[units] * 7),
    recent=st.lists(st.builds(wire.MomentWire, times, units, units, units), max_size=3).map(tuple),
    contributors=_contributors,
    also_held=st.lists(st.sampled_from(VoiceName), max_size=3).map(tuple),
    **_level,
)

_terms = st.builds(wire.PowerTermsWire, numbers, numbers)
_gone = st.builds(wire.GoneWire, counts, counts)

partials = st.builds(
    wire.PartialWire,
    id=texts,
    parent=texts,
    level=st.sampled_from(Level),
    source=counts,
    window_start=times,
    window_end=times,
    revision=counts,
    early=st.booleans(),
    children=counts,
    weight=numbers,
    pain=_terms,
    chaos=_terms,
    distrust=_terms,
    over_pain=counts,
    over_chaos=counts,
    over_distrust=counts,
    healthy=counts,
    worst=_some(st.builds(wire.WorstChildWire, texts, units, units)),
    dimension=st.integers(1, 10),
    events=counts,
    successes=counts,
    failures=counts,
    anomalies=counts,
    contributors=st.lists(
        st.builds(wire.PartialContributorWire, texts, names, counts, counts, numbers, units, times, st.integers(1, 10)),
        max_size=5,
    ).map(tuple),
    mass=numbers,
    anomaly_mass=numbers,
    live=_some(counts),
    deltas=st.dictionaries(names, counts, max_size=3),
    last_success=_some(times),
    last_harm=_some(times),
    last_anomaly=_some(times),
    last_failure=_some(times),
    gone_pain=_gone,
    gone_chaos=_gone,
    gone_distrust=_gone,
)

progresses = st.builds(
    wire.ProgressWire,
    id=texts,
    level=st.sampled_from(Level),
    source=counts,
    window_end=times,
    watermark=times,
    held=st.booleans(),
    live=st.dictionaries(texts, counts, max_size=3),
)

events = st.fixed_dictionaries(
    {"delta": names, "dimension": st.integers(1, 10), "omega": units, "lambda": names},
    optional={
        "fractal_metadata": st.fixed_dictionaries(
            {}, optional={"seam_id": names, "voice_pain": units, "voice_chaos": units, "voice_trust": units}
        ),
        "event_id": ids,
        "connection_id": ids,
        "ts": st.integers(10**11, 1_700_000_300_000),
        "session_id": ids,
        "episode_id": ids,
        "agent_id": ids,
        "trace_id": ids,
        "parent_id": ids,
        "seq": st.integers(0, 2**63 - 1),
        "lambda_deadline_s": st.integers(1, 86_400),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "latency_ms": st.floats(0, 1e308),
                "close_code": st.integers(1000, 4999),
                "attempt": st.integers(1, 2**31 - 1),
                "error_category": texts,
                "transport": texts,
                "endpoint": texts,
                "reason": texts,
                "further": json_values,
            },
        ),
        "experiment_id": ids,
        "schema_version": st.just("1.0"),
        "further": json_values,
    },
)
"""Events as dictionaries by wire names, all of them acceptable."""


def fields_of(struct: type[msgspec.Struct]) -> list[str]:
    """Names of a wire record's fields on the wire, in order."""
    return list(struct.__struct_encode_fields__)
