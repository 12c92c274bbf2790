"""G1 to G4 and G7 under any weather: the world checks them after every step, Hypothesis makes the weather."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipeline.agents.core.evidence import Evidence, Source
from pipeline.agents.core.link import Phase
from pipeline.agents.core.options import AgentOptions
from pipeline.agents.core.signals import (
    CloseWanted,
    Heard,
    Lost,
    Opened,
    OpenFailed,
    Ponged,
    Restate,
    Spread,
    Wake,
    Wanted,
)
from tests.pipeline.agents.world import Peer, Seat, World, plan

EVIDENCE = st.builds(
    Evidence,
    source=st.sampled_from(Source),
    code=st.none()
    | st.sampled_from([200, 401, 403, 429, 500, 503, 1000, 1001, 1002, 1006, 1008, 1009, 1011, 1012, 1013, 4401, 4999]),
    retry_after_ms=st.none() | st.integers(0, 10**7),
)
LOSSES = {
    "connection_lost", "connection_short_lived", "connection_closed_by_peer", "zombie_detected", "connection_failed",
    "connection_timeout", "connection_unproved", "server_overload", "rate_limited", "protocol_violation",
    "transport_blocked", "auth_rejected", "tls_failed", "error_detected",
}  # fmt: skip


class Silent(Peer):
    """Does nothing by itself: the rules do."""

    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        pass

    def pinged(self, world: World, seat: Seat, attempt: int, number: int) -> None:
        pass

    def closing(self, world: World, seat: Seat, attempt: int, code: int) -> None:
        pass


class Weather(RuleBasedStateMachine):
    """A link in a world where everything may happen at any moment."""

    @initialize(seed=st.integers(0, 2**32), urls=st.integers(1, 3))
    def begin(self, seed: int, urls: int) -> None:
        self.world = World(plan(urls=urls), peer=Silent(), rng=random.Random(seed))
        self.seat = self.world.seat
        self.told = 0
        self.reopened: list[int] = []

    @rule(seconds=st.floats(0.001, 200))
    def time_passes(self, seconds: float) -> None:
        self.world.run(self.world.now / 1000 + seconds)

    @rule()
    def the_next_timer_fires(self) -> None:
        moment = self.world.next_moment()
        if moment is not None:
            self.world.run(max(moment, self.world.now) / 1000)

    @rule()
    def somebody_wants_it(self) -> None:
        if self.seat.state.phase in {Phase.IDLE, Phase.CLOSED, Phase.FAILED}:
            self.reopened.append(self.world.now)
        self.world.feed(self.seat, Wanted())

    @rule()
    def nobody_wants_it(self) -> None:
        self.world.feed(self.seat, CloseWanted())

    @rule(event=st.sampled_from([Wake(), Spread(), Restate()]))
    def the_process_says(self, event: Wake | Spread | Restate) -> None:
        self.world.feed(self.seat, event)

    @rule()
    def the_attempt_opens(self) -> None:
        if self.seat.state.phase is Phase.CONNECTING:
            self.world.come(self.seat, Opened(self.seat.state.attempt))

    @rule(evidence=EVIDENCE)
    def the_attempt_fails(self, evidence: Evidence) -> None:
        if self.seat.state.phase is Phase.CONNECTING:
            self.world.come(self.seat, OpenFailed(self.seat.state.attempt, evidence))

    @rule(evidence=EVIDENCE)
    def the_socket_dies(self, evidence: Evidence) -> None:
        if self.seat.state.attempt in self.seat.opened:
            self.world.come(self.seat, Lost(self.seat.state.attempt, evidence))

    @rule(rtt=st.floats(0, 20_000))
    def a_pong_comes(self, rtt: float) -> None:
        heart = self.seat.state.heart
        if self.seat.state.attempt in self.seat.opened and heart.last_number:
            self.world.come(self.seat, Ponged(self.seat.state.attempt, heart.last_number, rtt))

    @rule()
    def data_comes(self) -> None:
        if self.seat.state.phase is Phase.PROVING:
            self.seat.proofs.add(self.seat.state.attempt)
            self.seat.heard_at = self.world.now
            self.world.feed(self.seat, Heard(self.seat.state.attempt))

    @rule(lag=st.sampled_from([0, 999, 1_000, 60_000]), blocked=st.booleans())
    def the_loop_is(self, lag: int, blocked: bool) -> None:
        self.world.lag_ms, self.world.blocked = lag, blocked

    @rule(back=st.integers(1, 5), evidence=EVIDENCE)
    def an_echo_of_an_older_attempt_changes_nothing(self, back: int, evidence: Evidence) -> None:
        before = self.seat.state
        for event in (
            Opened(before.attempt - back),
            OpenFailed(before.attempt - back, evidence),
            Lost(before.attempt - back, evidence),
            Ponged(before.attempt - back, 1, 1.0),
        ):
            self.world.feed(self.seat, event)
        after = self.seat.state
        assert (after.phase, after.attempt, after.heart) == (before.phase, before.attempt, before.heart)
        assert after.stale == before.stale + 4

    @invariant()
    def no_hot_loop(self) -> None:
        """G2: two attempts are at least the floor apart, unless somebody closed and wanted the link in between."""
        floor = AgentOptions().backoff.floor_ms
        for first, second in pairwise(self.seat.opened_at):
            assert second - first >= floor or any(first <= at <= second for at in self.reopened)

    @invariant()
    def one_physical_fact_is_one_event(self) -> None:
        """A socket or attempt ends in at most one loss, and each session is proved at most once."""
        sessions = [fact.session_id for _, fact in self.seat.facts if fact.delta in LOSSES]
        assert len(sessions) == len(set(sessions))
        proofs = [
            fact.session_id
            for _, fact in self.seat.facts
            if fact.delta in {"connection_established", "connection_recovered"}
        ]
        assert len(proofs) == len(set(proofs))

    @invariant()
    def a_wanted_link_always_ends_up_speaking(self) -> None:
        """G4: in every state of a wanted link something is due within ten minutes and a bit."""
        if self.seat.state.phase not in {Phase.IDLE, Phase.CLOSED}:
            assert min(at for at, _ in self.seat.timers.values()) <= self.world.now + 630_000


TestWeather = Weather.TestCase
TestWeather.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_a_link_in_service_that_hears_nothing_is_found_dead_whatever_the_dice():
    for seed in range(200):
        world = World(plan(), rng=random.Random(seed)).want().run(60)
        assert world.seat.state.phase is Phase.CONNECTED
        world.peer = Silent()
        world.run(120)
        zombie = next(fact for _, fact in world.seat.facts if fact.delta == "zombie_detected")
        silence = zombie.data["silence_ms"]
        # 16.5 s to the next ping, twice 2 s, and the time of the last pong.
        assert isinstance(silence, int)
        assert silence <= 20_540
