"""The ring between links and Kafka."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.ring import Dropped, Entry, Ring


def entry(seq: int, delta: str = "connection_lost", size: int = 10) -> Entry:
    return Entry(seq, b"k", b"x" * size, delta, 0)


def test_events_are_handed_over_in_order_and_leave_on_their_acknowledgement():
    ring = Ring(10, 1_000)
    for seq in range(4):
        ring.put(entry(seq))
    assert [taken.seq for taken in ring.take(3)] == [0, 1, 2]
    ring.acknowledge(1)
    assert (len(ring), ring.waiting, ring.handed, ring.handed_seqs()) == (3, 1, 2, (0, 2))
    ring.acknowledge(1)  # twice is once
    assert len(ring) == 3


def test_what_failed_goes_before_all_that_came_after_it():
    ring = Ring(10, 1_000)
    for seq in range(5):
        ring.put(entry(seq))
    ring.take(3)
    ring.acknowledge(0)
    ring.give_back([2, 1, 99])
    assert [taken.seq for taken in ring.take(10)] == [1, 2, 3, 4]
    ring.give_back([])
    assert ring.waiting == 0


def test_a_full_ring_lets_reports_go_first_and_states_last():
    ring = Ring(4, 1_000)
    for seq, delta in enumerate(["connection_lost", "heartbeat_summary", "connection_recovered", "agent_report"]):
        ring.put(entry(seq, delta))
    ring.put(entry(4))
    ring.put(entry(5))
    ring.put(entry(6))
    assert [taken.seq for taken in ring.take(10)] == [2, 4, 5, 6]
    assert ring.take_dropped() == Dropped(
        {"agent_report": 1, "connection_lost": 1, "heartbeat_summary": 1}, ((0, 1), (3, 3))
    )
    assert ring.take_dropped() is None


def test_what_is_handed_over_is_never_dropped_and_the_newcomer_goes_if_nothing_else_waits():
    ring = Ring(2, 1_000)
    ring.put(entry(0))
    ring.put(entry(1))
    ring.take(2)
    ring.put(entry(2))
    assert ring.handed_seqs() == (0, 1)
    assert ring.take_dropped() == Dropped({"connection_lost": 1}, ((2, 2),))


def test_bytes_are_bounded_as_well():
    ring = Ring(100, 100)
    for seq in range(5):
        ring.put(entry(seq, size=30))
    assert [taken.seq for taken in ring.take(10)] == [2, 3, 4]
    for seq in (2, 3, 4):
        ring.acknowledge(seq)
    ring.put(entry(5, size=100))
    assert ring.waiting == 1


def test_a_refused_event_is_announced_like_any_other_that_never_arrives():
    ring = Ring(10, 1_000)
    ring.put(entry(0, size=900))
    ring.take(1)
    ring.refuse(0)
    ring.refuse(0)
    assert (len(ring), ring.take_dropped()) == (0, Dropped({"connection_lost": 1}, ((0, 0),)))
    ring.put(entry(1, size=1_000))
    assert ring.waiting == 1


def test_many_gaps_are_told_as_at_most_twenty_ranges():
    ring = Ring(1, 10**6)
    for seq in range(0, 200, 2):
        ring.put(entry(seq))
    dropped = ring.take_dropped()
    assert dropped is not None
    assert (dropped.total, len(dropped.ranges), dropped.ranges[-1]) == (99, 20, (38, 196))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ptagr"), st.integers(0, 3), st.sampled_from(["connection_lost", "heartbeat_summary"])
        ),
        max_size=120,
    ),
    st.integers(1, 8),
)
def test_every_event_is_waiting_handed_over_acknowledged_or_announced(moves, room):
    ring = Ring(room, 60)
    acknowledged: set[int] = set()
    announced = 0
    seq = 0
    for move, number, delta in moves:
        handed = ring.handed_seqs()
        if move == "p":
            ring.put(entry(seq, delta))
            seq += 1
        elif move == "t":
            taken = [one.seq for one in ring.take(number)]
            assert taken == sorted(taken)
        elif move == "a" and handed:
            ring.acknowledge(handed[number % len(handed)])
            acknowledged.add(handed[number % len(handed)])
        elif move == "g":
            ring.give_back(handed[:number])
        elif move == "r" and handed:
            ring.refuse(handed[number % len(handed)])
        dropped = ring.take_dropped()
        announced += dropped.total if dropped else 0
        assert len(ring) <= room
        assert len(ring) + len(acknowledged) + announced == seq
