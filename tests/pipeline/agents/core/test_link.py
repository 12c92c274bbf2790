"""The link's machine in virtual time: what it says, exactly, in each kind of bad weather.

The dice always show .5: a wait is .1 s + half the width of its step, pings come every 15 s, the first after 7.5 s,
reports each 30 s, the first after 15 s.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from pipeline.agents.core.evidence import Evidence, Source
from pipeline.agents.core.facts import Fact
from pipeline.agents.core.link import Phase
from pipeline.agents.core.options import AgentOptions, TelemetryOptions
from pipeline.agents.core.signals import (
    CloseWanted,
    Due,
    Granted,
    Heard,
    Lost,
    Opened,
    OpenFailed,
    Ponged,
    Restate,
    Timer,
    Wake,
    Wanted,
)
from tests.pipeline.agents.world import Dice, Peer, Seat, World, plan

QUIET = AgentOptions(telemetry=TelemetryOptions(report_ms=10_000_000))
"""No reports, so that a story is told by its events alone."""


def quiet(**changes: int) -> World:
    return World(plan(options=QUIET, **changes))  # type: ignore[arg-type]  # urls and loopback


class Refusing(Peer):
    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        world.later(5, seat, OpenFailed(attempt, Evidence(Source.SYSTEM, reason="ECONNREFUSED")))


class Saying(Peer):
    """Fails each attempt with the same evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        world.later(0, seat, OpenFailed(attempt, self.evidence))


class Mute(Peer):
    def pinged(self, world: World, seat: Seat, attempt: int, number: int) -> None:
        pass


class ClosingAtOnce(Peer):
    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        super().opening(world, seat, attempt, url)
        world.later(self.open_ms + 1, seat, Lost(attempt, Evidence(Source.PEER_CLOSE, code=1000)))


class ClosingOnceProved(Peer):
    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        super().opening(world, seat, attempt, url)
        world.later(2_000, seat, Lost(attempt, Evidence(Source.PEER_CLOSE, code=1000)))


def test_a_good_link_is_established_and_then_speaks_by_its_heartbeat_once_per_report():
    world = World().want().run(100)
    assert world.seat.told == [
        (0.06, "connection_established"),
        (15.0, "heartbeat_summary"),
        (45.0, "heartbeat_summary"),
        (75.0, "heartbeat_summary"),
    ]
    summary = world.seat.facts[2][1]
    assert dict(summary.data) == {
        "latency_ms": 40.0,
        "latency_p95_ms": 40.0,
        "pongs": 2,
        "pings": 2,
        "pings_voided": None,
        "jitter_ms": 0.0,
    }


def test_a_blip_is_one_loss_one_recovery_and_in_the_end_one_stable():
    world = quiet().want().run(60)
    world.come(world.seat, Lost(1, Evidence(Source.SYSTEM, code=1006, reason="ECONNRESET")))
    world.run(120)
    assert world.seat.told == [
        (0.06, "connection_established"),
        (60.0, "connection_lost"),
        (60.66, "connection_recovered"),
        (70.66, "connection_stable"),
    ]
    lost, recovered, stable = (fact for _, fact in world.seat.facts[1:])
    assert lost == Fact(
        "connection_lost",
        "test/a",
        omega=0.9,
        deadline_s=61,
        session_id="test.0/a.1",
        episode_id="test.0/a.e1",
        data={
            "error_category": "network",
            "reason": "ECONNRESET",
            "close_code": None,
            "http_status": None,
            "attempt": 1,
            "endpoint": "wss://one.example/",
            "transport": "ws",
            "retry_in_ms": 600,
            "uptime_ms": 59_940,
        },
    )
    assert recovered == Fact(
        "connection_recovered",
        "test/a",
        seam="network_infrastructure",
        session_id="test.0/a.2",
        episode_id="test.0/a.e1",
        data={
            "state": "proved",
            "proof": "pong",
            "connect_ms": 60,
            "endpoint": "wss://one.example/",
            "transport": "ws",
            "first_cause": "network: ECONNRESET",
            "attempts": 1,
            "endpoints_tried": "wss://one.example/",
            "outage_ms": 660,
        },
    )
    assert (stable.episode_id, stable.data) == ("test.0/a.e1", {"outage_ms": 660})
    assert world.seat.state.episode is None


def test_accept_then_close_before_the_proof_backs_off_and_is_unproved_each_time():
    world = World(plan(options=QUIET), peer=ClosingAtOnce()).want().run(60)
    # Waits .6, 1.1, 2.1, 4.1, 8.1, 10.1, 10.1 …, each attempt 21 ms.
    assert world.seat.told == [
        (0.021, "connection_unproved"),
        (0.642, "connection_unproved"),
        (1.763, "connection_unproved"),
        (3.884, "connection_unproved"),
        (8.005, "connection_unproved"),
        (16.126, "connection_unproved"),
        (26.247, "connection_unproved"),
        (36.368, "connection_unproved"),
        (46.489, "connection_unproved"),
        (56.610, "connection_unproved"),
    ]


def test_accept_prove_then_close_is_one_close_and_then_short_lives_whose_waits_grow():
    world = World(plan(options=QUIET), peer=ClosingOnceProved()).want().run(30)
    assert world.seat.told == [
        (0.06, "connection_established"),
        (2.0, "connection_closed_by_peer"),
        (2.66, "connection_recovered"),
        (4.6, "connection_short_lived"),
        (5.76, "connection_recovered"),
        (7.7, "connection_short_lived"),
        (9.86, "connection_recovered"),
        (11.8, "connection_short_lived"),
        (15.96, "connection_recovered"),
        (17.9, "connection_short_lived"),
        (26.06, "connection_recovered"),
        (28.0, "connection_short_lived"),
    ]


def test_upgraded_then_mute_is_unproved_after_the_proof_timeout():
    world = World(plan(options=QUIET), peer=Mute()).want().run(12)
    assert world.seat.told == [(5.02, "connection_unproved"), (10.64, "connection_unproved")]
    assert world.seat.facts[0][1].omega == 0.7


def test_a_server_that_is_stopped_and_started_is_one_loss_failures_and_one_recovery():
    world = quiet().want().run(60)
    world.peer = Refusing()
    world.come(world.seat, Lost(1, Evidence(Source.PEER_CLOSE, code=1001, reason="going away")))
    world.run(70)
    world.peer = Peer()
    world.run(100)
    assert world.seat.told == [
        (0.06, "connection_established"),
        (60.0, "connection_closed_by_peer"),
        # 1001 is a collective loss: the wider series, 5-5-10-20 s.
        (62.605, "connection_failed"),
        (65.21, "connection_failed"),
        (70.37, "connection_recovered"),
        (80.37, "connection_stable"),
    ]


def test_a_half_open_socket_is_a_zombie_after_two_misses():
    world = quiet().want().run(20)
    world.peer = Mute()
    world.run(60)
    # Pings at 7.56 and 22.56 s; with an SRTT of 40 ms the pong timeout is its lower bound, 2 s.
    assert world.seat.told[1:3] == [(24.56, "heartbeat_missed"), (26.56, "zombie_detected")]


def test_the_slowest_zombie_is_found_within_36_and_a_half_seconds():
    class SlowThenMute(Peer):
        pong_ms = 10_000

        def pinged(self, world: World, seat: Seat, attempt: int, number: int) -> None:
            if number == 1:
                world.later(4_000, seat, Ponged(attempt, 1, 9_999.0))

    # Dice that show all but 1: pings 16.5 s apart, and a pong timeout at its upper bound.
    world = World(plan(options=QUIET), peer=SlowThenMute(), rng=Dice(0.999_999)).want().run(60)
    proved = world.seat.facts[0][0]
    found = next(at for at, fact in world.seat.facts if fact.delta == "zombie_detected")
    # The first ping after the proof waits at most one interval without spread.
    assert found - proved <= 36_500
    world = World(plan(options=QUIET), rng=Dice(0.999_999)).want().run(40)
    heard = world.seat.heard_at
    assert heard is not None
    world.peer = Mute()
    world.seat.state = world.seat.state._replace(heart=world.seat.state.heart._replace(srtt_ms=10_000.0))
    world.run(100)
    zombie = next(at for at, fact in world.seat.facts if fact.delta == "zombie_detected")
    assert 36_000 < zombie - heard <= 36_540  # 16.5 + 10 + 10 s, and the 40 ms of the last pong


def test_the_certainty_of_a_zombie_comes_from_the_gaps_once_twenty_are_known():
    young = quiet().want().run(20)
    young.peer = Mute()
    young.run(60)
    old = quiet().want().run(600)
    old.peer = Mute()
    old.run(660)
    omegas = [
        next(fact.omega for _, fact in world.seat.facts if fact.delta == "zombie_detected") for world in (young, old)
    ]
    assert omegas == [0.7, 0.95]


def test_data_proves_a_link_and_counts_as_life():
    world = World(plan(options=QUIET), peer=Mute()).want().run(1)
    world.seat.proofs.add(1)
    world.feed(world.seat, Heard(1))
    assert world.seat.deltas == ["connection_established"]
    for second in range(2, 60):
        world.run(second)
        world.seat.heard_at = world.now
    assert world.seat.deltas == ["connection_established", "connection_stable"][:1]
    assert world.seat.state.phase is Phase.CONNECTED


def test_a_stalled_loop_voids_the_miss_and_probes_again():
    world = quiet().want().run(20)
    world.peer = Mute()
    world.lag_ms = 1_500
    world.run(24.7)
    assert world.seat.deltas == ["connection_established"]
    assert world.seat.state.pings_voided == 1
    world.peer, world.lag_ms = Peer(), 0
    world.run(26.7)  # the probe sent during the stall got no answer: one miss, then life
    assert world.seat.deltas == ["connection_established", "heartbeat_missed"]
    assert world.seat.state.phase is Phase.CONNECTED


def test_a_user_who_does_not_read_makes_no_zombie():
    world = quiet().want().run(20)
    world.peer, world.blocked = Mute(), True
    world.run(120)
    assert world.seat.deltas == ["connection_established"]


def test_a_stalled_loop_gives_an_attempt_a_full_timeout_more():
    world = World(plan(options=QUIET), peer=Mute()).want().run(1)
    world.lag_ms = 2_000
    world.run(6)
    assert world.seat.deltas == []
    world.lag_ms = 0
    world.run(11)
    assert world.seat.told == [(10.02, "connection_unproved")]


def test_two_minutes_without_service_suspend_the_link_which_goes_on_trying():
    world = World(plan(options=QUIET), peer=Refusing()).want().run(200)
    assert [told for told in world.seat.told if told[1] != "connection_failed"] == [(120.0, "connection_suspended")]
    tries = [at for at, delta in world.seat.told if delta == "connection_failed" and at > 120]
    assert [round(b - a, 3) for a, b in pairwise(tries)] == [30.005, 30.005]
    world.peer = Peer()
    world.run(300)
    assert world.seat.deltas[-2:] == ["connection_established", "connection_stable"]


@pytest.mark.parametrize(
    ("evidence", "delta", "seam", "wait_ms"),
    [
        (Evidence(Source.NAME, reason="unknown"), "connection_failed", None, 600),
        (Evidence(Source.SYSTEM, reason="ECONNREFUSED"), "connection_failed", None, 600),
        (Evidence(Source.HTTP, code=500), "connection_failed", None, 600),
        (Evidence(Source.HTTP, code=503), "server_overload", None, 600),
        (Evidence(Source.HTTP, code=503, retry_after_ms=7_000), "server_overload", None, 7_500),
        (Evidence(Source.HTTP, code=429), "rate_limited", None, 20_500),
        (Evidence(Source.HTTP, code=429, retry_after_ms=3_000), "rate_limited", None, 3_500),
        (Evidence(Source.HTTP, code=429, retry_after_ms=10**9), "rate_limited", None, 600_500),
        (Evidence(Source.HTTP, code=426), "transport_blocked", None, 600),
        (Evidence(Source.TLS, reason="certificate: expired"), "tls_failed", None, 60_500),
        (Evidence(Source.HTTP, code=401), "auth_rejected", None, 600),
        (Evidence(Source.LOCAL, reason="EMFILE"), "connection_failed", None, 5_500),
        (Evidence(Source.UNKNOWN), "error_detected", None, 600),
    ],
)
def test_each_category_has_its_delta_and_its_wait(evidence, delta, seam, wait_ms):
    world = World(plan(options=QUIET), peer=Saying(evidence)).want().run(0.01)
    fact = world.seat.facts[0][1]
    assert (fact.delta, fact.seam, fact.data["retry_in_ms"]) == (delta, seam, wait_ms)


@pytest.mark.parametrize(
    ("code", "delta", "wait_ms"),
    [
        (1000, "connection_closed_by_peer", 600),
        (1001, "connection_closed_by_peer", 2_600),
        (1005, "connection_closed_by_peer", 600),
        (1012, "connection_closed_by_peer", 17_500),
        (1002, "connection_lost", 600),
        (1009, "protocol_violation", 600),
        (1011, "connection_failed", 600),
        (1013, "server_overload", 30_500),
        (4429, "rate_limited", 20_500),
        (4408, "connection_timeout", 600),
        (4999, "error_detected", 600),
    ],
)
def test_each_close_code_of_a_proved_socket_has_its_delta_and_its_wait(code, delta, wait_ms):
    world = quiet().want().run(60)
    world.come(world.seat, Lost(1, Evidence(Source.PEER_CLOSE, code=code)))
    fact = world.seat.facts[-1][1]
    assert (fact.delta, fact.omega, fact.data["close_code"]) == (delta, 1.0, code)
    assert fact.data["retry_in_ms"] == wait_ms


def test_a_second_protocol_error_within_ten_minutes_is_a_violation():
    world = quiet().want()
    told = []
    for end in (60, 120, 120 + 601):
        world.run(end)
        world.come(world.seat, Lost(world.seat.state.attempt, Evidence(Source.PEER_CLOSE, code=1002)))
        told.append(world.seat.deltas[-1])
    assert told == ["connection_lost", "protocol_violation", "connection_lost"]


def test_a_second_refusal_of_who_we_are_needs_a_human_and_is_reported_ever_after():
    world = World(peer=Saying(Evidence(Source.HTTP, code=401))).want().run(100)
    assert world.seat.told == [
        (0.0, "auth_rejected"),
        (0.6, "auth_rejected"),
        (0.6, "connection_abandoned"),
        (45.0, "link_reported_down"),
        (75.0, "link_reported_down"),
    ]
    assert [fact.lambda_ for _, fact in world.seat.facts] == [
        None,
        *["escalate_to_human"] * 1,
        None,
        *["escalate_to_human"] * 2,
    ]
    world.peer = Peer()
    world.feed(world.seat, Wanted())
    world.run(102)
    assert world.seat.deltas[-1] == "connection_established"


def test_a_bad_certificate_is_tried_three_times_a_minute_apart():
    world = World(plan(options=QUIET), peer=Saying(Evidence(Source.TLS, reason="certificate: expired"))).want().run(600)
    assert [told for told in world.seat.told if told[1] != "connection_suspended"] == [
        (0.0, "tls_failed"),
        (60.5, "tls_failed"),
        (121.5, "tls_failed"),
        (121.5, "connection_abandoned"),
    ]


def test_after_two_failures_the_next_endpoint_is_tried():
    class OnlyTheSecond(Peer):
        def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
            if "two" in url:
                super().opening(world, seat, attempt, url)
            else:
                Refusing().opening(world, seat, attempt, url)

    world = World(plan(options=QUIET, urls=2), peer=OnlyTheSecond()).want().run(10)
    assert world.seat.deltas == ["connection_failed", "connection_failed", "connection_established"]
    data = world.seat.facts[-1][1].data
    assert (data["endpoint"], data["endpoints_tried"], data["attempts"]) == (
        "wss://two.example/",
        "wss://one.example/, wss://two.example/",
        3,
    )


def test_an_overloaded_endpoint_is_left_at_once():
    world = World(plan(options=QUIET, urls=2)).want().run(60)
    world.come(world.seat, Lost(1, Evidence(Source.PEER_CLOSE, code=1013)))
    assert world.seat.state.place.url == "wss://two.example/"


def test_a_failure_elsewhere_than_on_the_network_is_verified_at_each_quiet_report_for_fifteen_minutes():
    world = World().want().run(50)
    world.come(world.seat, Lost(1, Evidence(Source.PEER_CLOSE, code=4429)))
    world.run(1_200)
    verified = [(at, fact.seam) for at, fact in world.seat.facts if fact.delta == "seam_verified"]
    # Failed at 50; reports at 105, 135, … follow an interval without a failure; the last within 900 s is that at 945.
    assert verified == [(at * 1000, "load_balancing") for at in range(105, 951, 30)]
    assert next(fact.seam for _, fact in world.seat.facts if fact.delta == "connection_recovered") == "load_balancing"


def test_a_link_in_an_outage_says_that_it_is_down_when_nothing_else_was_said():
    world = World(peer=Saying(Evidence(Source.HTTP, code=429, retry_after_ms=200_000))).want().run(110)
    assert world.seat.told == [
        (0.0, "rate_limited"),
        (45.0, "link_reported_down"),
        (75.0, "link_reported_down"),
        (105.0, "link_reported_down"),
    ]


def test_a_wanted_end_is_closed_cleanly_and_told_once():
    world = quiet().want().run(20)
    world.feed(world.seat, CloseWanted())
    phases = [world.seat.state.phase]
    world.run(100)
    phases.append(world.seat.state.phase)
    assert phases == [Phase.DRAINING, Phase.CLOSED]
    assert world.seat.told == [(0.06, "connection_established"), (20.04, "connection_closed")]
    assert world.seat.timers == {}


def test_a_peer_that_does_not_close_is_cut_after_the_drain_time():
    class Holding(Peer):
        def closing(self, world: World, seat: Seat, attempt: int, code: int) -> None:
            pass

    world = World(plan(options=QUIET), peer=Holding()).want().run(20)
    world.feed(world.seat, CloseWanted())
    world.run(100)
    assert world.seat.told[-1] == (25.0, "connection_closed")
    assert not world.seat.open_attempts


@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.3])
def test_closing_an_attempt_or_a_wait_ends_at_once(seconds):
    world = World(plan(options=QUIET), peer=ClosingAtOnce()).want().run(seconds)
    world.feed(world.seat, CloseWanted())
    assert world.seat.state.phase is Phase.CLOSED
    assert world.seat.deltas[-1] == "connection_closed"
    world.run(300)
    assert world.seat.deltas[-1] == "connection_closed"
    assert all(not gate.under_way and not gate.queue for gate in world.process.gates.values())


def test_a_link_that_nobody_wanted_closes_without_a_word_and_can_be_wanted_later():
    world = quiet()
    world.feed(world.seat, CloseWanted())
    world.feed(world.seat, CloseWanted())
    assert (world.seat.state.phase, world.seat.facts) == (Phase.CLOSED, [])
    world.want().want().run(1)
    assert world.seat.deltas == ["connection_established"]


def test_waking_cuts_the_backoff_but_not_what_the_server_asked_for():
    backing_off = World(plan(options=QUIET), peer=Refusing()).want().run(10)
    assert backing_off.seat.state.retry_at == 16_025
    backing_off.feed(backing_off.seat, Wake())
    assert backing_off.seat.state.retry_at == 10_600
    told = (
        World(plan(options=QUIET), peer=Saying(Evidence(Source.HTTP, code=429, retry_after_ms=60_000))).want().run(10)
    )
    told.feed(told.seat, Wake())
    assert told.seat.state.retry_at == 60_000
    told.run(60)
    told.feed(told.seat, Wake())  # the link is in service or asking: nothing to cut
    assert told.seat.deltas == ["rate_limited", "rate_limited"]


def test_facts_of_older_attempts_are_dropped_and_counted():
    world = quiet().want().run(60)
    world.feed(world.seat, Lost(0, Evidence(Source.SYSTEM)))
    world.feed(world.seat, Opened(1))
    world.feed(world.seat, Ponged(1, 99, 1.0))
    world.feed(world.seat, Heard(1))
    assert world.seat.state.stale == 4
    assert world.seat.deltas == ["connection_established"]


def test_a_late_pong_is_life_and_leaves_the_newest_ping_to_be_answered():
    world = quiet().want().run(20)
    world.peer = Mute()
    world.run(24.6)  # ping 3 missed at 24.56 s, ping 4 on its way
    world.seat.heard_at = world.now
    world.feed(world.seat, Ponged(1, 3, 2_040.0))
    assert (world.seat.state.heart.misses, world.seat.state.heart.outstanding) == (0, (4, 24_560))
    world.run(26.7)
    assert world.seat.deltas == ["connection_established", "heartbeat_missed"]


def test_a_timer_or_grant_that_comes_too_late_changes_nothing():
    world = quiet().want().run(20)
    for event in (Granted(), Due(Timer.OPEN), Due(Timer.RETRY)):
        before = world.seat.state
        world.feed(world.seat, event)
        assert world.seat.state == before._replace(stale=before.stale + 1)
    before = world.seat.state
    world.feed(world.seat, Due(Timer.PONG))  # the pong came in the same turn of the loop
    world.feed(world.seat, CloseWanted())
    world.feed(world.seat, CloseWanted())
    world.feed(world.seat, Due(Timer.REPORT))
    world.run(30)
    world.feed(world.seat, CloseWanted())
    assert world.seat.deltas == ["connection_established", "connection_closed"]


def test_reports_keep_their_beat_and_those_slept_through_are_not_made_up_for():
    world = World().want().run(50)
    world.now = 200_000  # the next was due at 75 s
    world.feed(world.seat, Due(Timer.REPORT))
    assert world.seat.state.report_at == 230_000
    assert world.seat.deltas[1:] == ["heartbeat_summary", "heartbeat_summary", "link_reported_up"]


def test_a_link_restates_how_it_is_when_telemetry_was_lost():
    world = quiet()
    world.feed(world.seat, Restate())
    world.want().run(1)
    world.feed(world.seat, Restate())
    world.come(world.seat, Lost(1, Evidence(Source.SYSTEM)))
    world.feed(world.seat, Restate())
    assert world.seat.deltas == ["connection_established", "link_reported_up", "connection_lost", "link_reported_down"]


def test_an_endpoint_on_this_machine_is_never_waited_for_longer_than_two_seconds():
    world = World(plan(options=QUIET, loopback=True), peer=Refusing(), rng=Dice(0.999_999)).want().run(60)
    waits = [fact.data["retry_in_ms"] for _, fact in world.seat.facts]
    assert waits[:4] == [1_100, 2_100, 2_100, 2_100]


def test_the_same_seed_and_events_give_the_same_words():
    def story(seed: int) -> list[tuple[float, str]]:
        world = World(peer=ClosingOnceProved(), rng=random.Random(seed)).want().run(300)
        return world.seat.told

    assert story(1) == story(1)
    assert story(1) != story(2)
