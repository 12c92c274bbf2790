"""What links share: the connect budget and collective losses."""

from __future__ import annotations

import random

from pipeline.agents.core.evidence import Evidence, Moment, Source, classify
from pipeline.agents.core.link import Phase
from pipeline.agents.core.options import AgentOptions, BudgetOptions, TelemetryOptions
from pipeline.agents.core.outage import next_wait
from pipeline.agents.core.signals import CloseWanted, Lost, Wanted
from tests.pipeline.agents.world import Dice, Peer, World, plan

QUIET = AgentOptions(telemetry=TelemetryOptions(report_ms=10_000_000))


def many(count: int, peer: Peer | None = None, rng: random.Random | Dice | None = None) -> World:
    return World(*(plan(f"l{n:04d}", options=QUIET) for n in range(count)), peer=peer, rng=rng)


class Slow(Peer):
    open_ms = 9_000


def lose_all(world: World) -> None:
    for seat in world.seats.values():
        world.come(seat, Lost(seat.state.attempt, Evidence(Source.SYSTEM, reason="ECONNRESET")))


def test_the_budget_grows_with_the_links():
    budget = BudgetOptions()
    assert [budget.rate(links) for links in (1, 200, 201, 10_000)] == [10.0, 10.0, 10.05, 500.0]
    assert [budget.concurrent(links) for links in (1, 800, 900, 6_400, 10_000)] == [8, 8, 9, 64, 64]


def test_no_more_attempts_are_under_way_than_the_budget_allows_first_come_first_served():
    world = many(20, Slow()).want().run(1)
    connecting = [seat.state.plan.link_id for seat in world.seats.values() if seat.state.phase is Phase.CONNECTING]
    assert connecting == [f"l{n:04d}" for n in range(8)]
    world.run(9.1)
    assert sum(seat.state.phase is Phase.CONNECTED for seat in world.seats.values()) == 8
    assert sum(seat.state.phase is Phase.CONNECTING for seat in world.seats.values()) == 8


def test_attempts_start_at_the_rate_after_the_first_second_is_used_up():
    world = many(35).want().run(10)
    starts = sorted(at for seat in world.seats.values() for at in seat.opened_at)
    assert starts[:8] == [0] * 8  # as many as may be under way
    assert starts[8:10] == [60, 60]  # when the first are proved: the rest of the first second
    # .6 of a token came in those 60 ms; from then on one each 100 ms.
    assert starts[10:] == list(range(100, 100 * 26, 100))


def test_a_link_that_is_closed_in_the_queue_leaves_it():
    world = many(12, Slow()).want().run(0)
    last = world.seats["l0011"]
    world.feed(last, CloseWanted())
    world.run(60)
    assert last.deltas == ["connection_closed"]
    assert sum(seat.state.phase is Phase.CONNECTED for seat in world.seats.values()) == 11
    world.feed(last, Wanted())
    world.run(90)
    assert last.state.phase is Phase.CONNECTED


def test_two_losses_in_a_second_are_two_and_three_are_one_collective_loss():
    for lost, collective in ((2, False), (3, True)):
        world = many(lost).want().run(60)
        lose_all(world)
        world.run(70)
        told = [(at, dict(fact.data)) for at, fact in world.process_facts if fact.delta == "correlated_loss"]
        assert told == ([(61_000, {"links_lost": 3})] if collective else [])
        back = [at for seat in world.seats.values() for at, delta in seat.told if delta == "connection_recovered"]
        # .1 s + half of 1 s alone, half of 5 s together.
        assert back == [62.66 if collective else 60.66] * lost


def test_three_losses_more_than_a_second_apart_are_no_collective_loss():
    world = many(3).want().run(60)
    for number, seat in enumerate(world.seats.values()):
        world.run(60 + 1.1 * number)
        world.come(seat, Lost(1, Evidence(Source.SYSTEM)))
    world.run(90)
    assert world.process_facts == []


def test_a_burst_that_goes_on_is_told_once_with_all_its_links():
    world = many(6).want().run(60)
    for number, seat in enumerate(world.seats.values()):
        world.run(60 + 0.4 * number)
        world.come(seat, Lost(1, Evidence(Source.SYSTEM)))
    world.run(90)
    assert [(at, dict(fact.data)) for at, fact in world.process_facts] == [(63_000, {"links_lost": 6})]


def test_a_loss_after_the_burst_begins_a_new_count():
    world = many(3).want().run(60)
    lose_all(world)
    world.run(100)
    first = next(iter(world.seats.values()))
    world.come(first, Lost(first.state.attempt, Evidence(Source.SYSTEM)))
    world.run(110)
    assert len(world.process_facts) == 1
    assert first.told[-1][1] == "connection_recovered"
    assert first.told[-1][0] == 100.66


def test_a_herd_of_strangers_comes_back_spread_over_time():
    """5000 processes with a link each lose a server for 60 s: at most 1.6 % of them in any 100 ms, p95 back in 17 s.

    The waits alone, by the function that the machine waits by; that it does so is in test_link.
    """
    refused = Evidence(Source.SYSTEM, reason="ECONNREFUSED")
    verdict = classify(refused, Moment.CONNECTING)
    rng = random.Random(7)
    waits: list[int] = []
    for _ in range(5_000):
        now, tries = 0, 0
        while now < 60_000:
            delay, _ = next_wait(verdict, refused, tries, QUIET, rng, collective=False, loopback=False, suspended=False)
            now, tries = now + delay, tries + 1
        waits.append(now - 60_000)
    waits.sort()
    peak = max(sum(start <= wait < start + 100 for wait in waits) for start in range(0, 25_000, 50))
    assert peak <= 0.016 * len(waits)
    assert waits[int(0.95 * len(waits))] <= 17_000
