"""The load: the same bytes from the same seed, the mix that its shares say."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from itertools import pairwise

import pytest

from benchmarks.load import Load, LoadEvent, connection_name, generate
from pipeline.runtime.producing import partition_for
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.types import Origin

BEGIN = 1_700_000_010_000
LOAD = Load(40_000, 500)


@pytest.fixture(scope="module")
def events() -> list[LoadEvent]:
    return list(generate(LOAD, BEGIN))


def _digest(load: Load, begin: int) -> str:
    digest = sha256()
    for event in generate(load, begin):
        digest.update(b"%d %s %s %d %d\n" % (event.partition, event.key, event.value, event.time, event.arrival))
    return digest.hexdigest()


def test_a_seed_gives_one_log_byte_for_byte() -> None:
    small = Load(2_000, 50)
    assert _digest(small, BEGIN) == _digest(small, BEGIN)
    assert _digest(small, BEGIN) != _digest(Load(2_000, 50, seed=5), BEGIN)


def test_the_log_holds_every_event_in_the_order_of_arrival_within_its_span(events: list[LoadEvent]) -> None:
    assert len(events) == LOAD.events
    assert all(one.arrival <= other.arrival for one, other in pairwise(events))
    assert min(event.time for event in events) >= BEGIN
    assert max(event.time for event in events) < BEGIN + LOAD.span
    assert LOAD.span == 800_000


def test_each_link_speaks_once_per_beat_on_the_partition_of_the_standard_partitioner(events: list[LoadEvent]) -> None:
    said = Counter(event.key for event in events)
    assert said == {connection_name(number).encode(): 80 for number in range(LOAD.connections)}
    assert all(event.partition == partition_for(event.key, 4) for event in events)


def test_shares_are_what_the_load_says(events: list[LoadEvent]) -> None:
    delays = [event.arrival - event.time for event in events]
    assert sum(0 < delay <= 8_000 for delay in delays) / len(events) == pytest.approx(LOAD.out_of_order, rel=0.1)
    assert sum(delay >= 60_000 for delay in delays) / len(events) == pytest.approx(LOAD.late, rel=0.25)
    assert sum(1_900 < delay <= 8_000 for delay in delays) / len(events) == pytest.approx(0.0038, rel=0.25)


def test_most_events_are_heartbeats_with_a_latency_and_some_are_outages(events: list[LoadEvent]) -> None:
    kinds = Counter(json.loads(event.value)["delta"] for event in generate(Load(40_000, 500, poison=0.0), BEGIN))
    assert 0.96 < kinds["heartbeat_summary"] / LOAD.events < 0.98
    assert kinds["connection_lost"] == pytest.approx(40, abs=20)
    assert kinds["connection_failed"] > 20
    assert kinds["reconnection_success"] == pytest.approx(kinds["connection_lost"], abs=5)


def test_all_but_the_poison_is_accepted_and_the_poison_is_rejected() -> None:
    load = Load(20_000, 500, poison=0.01)
    registry = builtin_registry()
    accepted = [
        isinstance(decode_event(event.value, Origin(event.key, 0, 0, BEGIN + load.span), registry), HotEvent)
        for event in generate(load, BEGIN)
    ]
    poison = accepted.count(False)
    assert poison == pytest.approx(200, abs=50)
    clean = [event.value for event in generate(Load(20_000, 500, poison=0.0), BEGIN)]
    assert all(
        isinstance(decode_event(value, Origin(None, 0, 0, BEGIN + load.span), registry), HotEvent) for value in clean
    )


def test_an_event_is_about_as_large_as_an_agents(events: list[LoadEvent]) -> None:
    sizes = [len(event.value) for event in events]
    assert 240 < sum(sizes) / len(sizes) < 300
