"""One logical link, across all its sockets: the state machine.

Pure. ``step`` is the only writer of a link's state. Messages bypass it. Facts of attempts that are over are dropped
and counted. Guarantees, each a property test: one live attempt per link (G1), no hot loop (G2), nothing is sent before
the proof (G3), no silent giving up (G4), our stall is never the peer's fault (G7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from schemas.types import Instant, Millis, Unit

from . import heartbeat
from .backoff import around, wait, width
from .dice import Rng
from .evidence import Category, Evidence, Moment, Source, Verdict, classify
from .facts import NETWORK_SEAM, Fact, Scalar, seam_of, telling_text
from .heartbeat import Heart
from .options import AgentOptions
from .outage import Episode, delta_of_loss, next_wait, omega_of
from .signals import (
    AttemptOver,
    ClearTimer,
    CloseTransport,
    CloseWanted,
    ConnectWanted,
    CutTransport,
    Due,
    Emit,
    Granted,
    Heard,
    LinkEffect,
    LinkEvent,
    LossSeen,
    Lost,
    Opened,
    OpenFailed,
    OpenTransport,
    Ponged,
    Restate,
    SendPing,
    SetTimer,
    Spread,
    Tell,
    Timer,
    Wake,
    Wanted,
)

__all__ = ["Endpoint", "LinkPlan", "LinkState", "Phase", "new_link", "step"]


class Phase(StrEnum):
    """Where a link stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    PROVING = "proving"
    CONNECTED = "connected"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    DRAINING = "draining"
    CLOSED = "closed"
    FAILED = "failed"


_RESTING = frozenset({Phase.IDLE, Phase.CLOSED, Phase.FAILED})
_PAUSING = frozenset({Phase.WAITING, Phase.SUSPENDED})
_LIVE = frozenset({Phase.CONNECTING, Phase.PROVING, Phase.CONNECTED, Phase.DRAINING})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to connect to."""

    url: str
    host: str
    """What the connect budget counts by: host and port."""
    shown: str
    """Scheme, host, port and path: what may be told of the URL."""
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What does not change in a link's life."""

    link_id: str
    connection_id: str
    life: str
    """Prefix of session and episode ids: this link of this process life."""
    endpoints: tuple[Endpoint, ...]
    options: AgentOptions


class LinkState(NamedTuple):
    """All that is known of a link. A tuple, because one is made at every step: its copy is four times as quick."""

    plan: LinkPlan
    phase: Phase = Phase.IDLE
    attempt: int = 0
    """Number of the newest attempt; facts of older ones are stale."""
    stale: int = 0
    asking: bool = False
    """The connect budget was asked and has not answered yet."""
    tries: int = 0
    """Waits of this outage."""
    collective: bool = False
    retry_at: Instant | None = None
    least_until: Instant | None = None
    """What a server asked for: nothing wakes the link sooner."""
    endpoint: int = 0
    failures_here: int = 0
    attempt_started_at: Instant = 0
    connected_at: Instant = 0
    down_since: Instant | None = None
    suspended: bool = False
    ever_up: bool = False
    episodes: int = 0
    episode: Episode | None = None
    auth_failures: int = 0
    tls_failures: int = 0
    violated_at: Instant | None = None
    heart: Heart = Heart()
    pings_sent: int = 0
    """Since the last report, as are the next three."""
    pongs_ms: tuple[float, ...] = ()
    pings_voided: int = 0
    spoke: bool = False
    report_at: Instant = 0
    seams: Mapping[str, Instant] = MappingProxyType({})
    """Seams on which this link failed, and when last."""

    @property
    def session_id(self) -> str:
        """One socket's life."""
        return f"{self.plan.life}.{self.attempt}"

    @property
    def place(self) -> Endpoint:
        """The endpoint in use."""
        return self.plan.endpoints[self.endpoint]


def new_link(plan: LinkPlan) -> LinkState:
    """A link that nobody has asked for yet."""
    return LinkState(plan)


def step(state: LinkState, event: LinkEvent, now: Instant, rng: Rng) -> tuple[LinkState, tuple[LinkEffect, ...]]:
    """The state after an event, and what to do, in order."""
    turn = _Turn(state, now, rng)
    match event:
        case Wanted():
            _wanted(turn)
        case CloseWanted():
            _close_wanted(turn)
        case Granted():
            _granted(turn)
        case Opened() | OpenFailed() | Heard() | Ponged() | Lost():
            if event.attempt == state.attempt and state.phase in _LIVE:
                _of_attempt(turn, event)
            else:
                turn.change(stale=state.stale + 1)
        case Due():
            _due(turn, event)
        case Spread():
            _spread(turn)
        case Wake():
            _wake(turn)
        case Restate():  # pragma: no branch - the last of a closed list
            if state.phase not in {Phase.IDLE, Phase.CLOSED}:
                _say_how_it_is(turn)
    return turn.state, tuple(turn.effects)


class _Turn:
    """One step under way: the state so far and the effects so far. Lives no longer than the step."""

    __slots__ = ("effects", "now", "rng", "state")

    def __init__(self, state: LinkState, now: Instant, rng: Rng) -> None:
        self.state = state
        self.now = now
        self.rng = rng
        self.effects: list[LinkEffect] = []

    @property
    def options(self) -> AgentOptions:
        return self.state.plan.options

    def change(self, **changes: object) -> None:
        self.state = self.state._replace(**changes)  # type: ignore[arg-type]  # _replace() checks the names of fields

    def do(self, *effects: LinkEffect) -> None:
        self.effects.extend(effects)

    def clear(self, *timers: Timer) -> None:
        self.do(*(ClearTimer(timer) for timer in timers))

    def say(
        self,
        delta: str,
        *,
        omega: Unit | None = None,
        lambda_: str | None = None,
        seam: str | None = None,
        deadline_s: int | None = None,
        data: Mapping[str, Scalar] | None = None,
    ) -> Fact:
        state = self.state
        fact = Fact(
            delta,
            state.plan.connection_id,
            omega=omega,
            lambda_=lambda_,
            seam=seam,
            deadline_s=deadline_s,
            session_id=state.session_id if state.attempt else None,
            episode_id=state.episode.episode_id if state.episode else None,
            data=data or {},
        )
        self.do(Emit(fact))
        self.change(spoke=True)
        return fact


# Wanting, and no longer wanting


def _wanted(turn: _Turn) -> None:
    state = turn.state
    if state.phase not in _RESTING:
        return
    report_ms = turn.options.telemetry.report_ms
    report_at = turn.now + max(1, round(turn.rng.random() * report_ms))
    turn.change(
        phase=Phase.WAITING,
        asking=True,
        tries=0,
        auth_failures=0,
        tls_failures=0,
        failures_here=0,
        collective=False,
        suspended=False,
        down_since=turn.now,
        report_at=report_at,
        retry_at=None,
        least_until=None,
        spoke=False,
        pongs_ms=(),
        pings_sent=0,
        pings_voided=0,
    )
    turn.do(
        SetTimer(Timer.REPORT, report_at),
        SetTimer(Timer.SUSPEND, turn.now + turn.options.backoff.suspend_after_ms),
        Tell(ConnectWanted(state.plan.link_id, state.place.host)),
    )


def _close_wanted(turn: _Turn) -> None:
    state = turn.state
    match state.phase:
        case Phase.CONNECTED:
            turn.change(phase=Phase.DRAINING)
            turn.clear(Timer.PING, Timer.PONG, Timer.STABLE, Timer.REPORT, Timer.SUSPEND)
            turn.do(
                CloseTransport(state.attempt, 1000),
                SetTimer(Timer.DRAIN, turn.now + turn.options.stop.drain_ms),
            )
        case Phase.CONNECTING | Phase.PROVING:
            turn.do(CutTransport(state.attempt))
            _attempt_over(turn)
            _closed(turn)
        case Phase.WAITING | Phase.SUSPENDED | Phase.FAILED:
            _attempt_over(turn)
            _closed(turn)
        case Phase.IDLE:
            turn.change(phase=Phase.CLOSED)
        case _:
            return  # on its way, or there already


def _closed(turn: _Turn) -> None:
    turn.clear(*Timer)
    turn.change(
        phase=Phase.CLOSED, asking=False, retry_at=None, down_since=None, heart=Heart(srtt_ms=turn.state.heart.srtt_ms)
    )
    turn.say("connection_closed", data={"endpoint": turn.state.place.shown})
    turn.change(episode=None)


# Attempts


def _attempt_over(turn: _Turn) -> None:
    turn.change(asking=False)
    turn.do(Tell(AttemptOver(turn.state.plan.link_id, turn.state.place.host)))


def _granted(turn: _Turn) -> None:
    state = turn.state
    if state.phase not in _PAUSING or not state.asking:
        # Closed while it stood in the queue. The grant was returned with the close.
        turn.change(stale=state.stale + 1)
        return
    attempt = state.attempt + 1
    # The path is the same, so its SRTT is a fair first guess; everything else is the new socket's own.
    heart = Heart(srtt_ms=state.heart.srtt_ms, rttvar_ms=state.heart.rttvar_ms)
    episode = state.episode.tried(state.place.shown) if state.episode else None
    turn.change(
        phase=Phase.CONNECTING,
        asking=False,
        attempt=attempt,
        attempt_started_at=turn.now,
        heart=heart,
        retry_at=None,
        least_until=None,
        episode=episode,
    )
    turn.do(
        OpenTransport(attempt, state.place.url),
        SetTimer(Timer.OPEN, turn.now + turn.options.connect.open_timeout_ms),
    )


def _of_attempt(turn: _Turn, event: Opened | OpenFailed | Heard | Ponged | Lost) -> None:
    phase = turn.state.phase
    match event:
        case Opened() if phase is Phase.CONNECTING:
            turn.clear(Timer.OPEN)
            turn.change(phase=Phase.PROVING)
            turn.do(SetTimer(Timer.PROOF, turn.now + turn.options.connect.proof_timeout_ms))
            _ping(turn)
        case OpenFailed(_, evidence) if phase is Phase.CONNECTING:
            _failed(turn, evidence, Moment.CONNECTING)
        case Lost(_, evidence) if phase in {Phase.CONNECTING, Phase.PROVING}:
            _failed(turn, evidence, Moment.PROVING)
        case Lost(_, evidence) if phase is Phase.CONNECTED:
            _lost(turn, evidence)
        case Lost() if phase is Phase.DRAINING:
            _closed(turn)
        case Ponged(_, number, rtt_ms):
            _ponged(turn, number, rtt_ms)
        case Heard() if phase is Phase.PROVING:
            _proved(turn, "data")
            sent_at = turn.state.heart.outstanding.sent_at if turn.state.heart.outstanding else turn.now
            turn.do(SetTimer(Timer.PONG, sent_at + heartbeat.pong_timeout(turn.state.heart, turn.options.heartbeat)))
        case _:
            turn.change(stale=turn.state.stale + 1)


def _proved(turn: _Turn, by: str) -> None:
    state = turn.state
    episode = state.episode
    turn.clear(Timer.PROOF, Timer.SUSPEND)
    _attempt_over(turn)
    turn.change(
        phase=Phase.CONNECTED, connected_at=turn.now, ever_up=True, suspended=False, down_since=None, failures_here=0
    )
    interval = turn.options.heartbeat.interval_ms
    turn.do(
        SetTimer(Timer.STABLE, turn.now + turn.options.connect.stable_after_ms),
        SetTimer(Timer.PING, turn.now + max(1, round(turn.rng.random() * interval))),
    )
    data: dict[str, Scalar] = {
        "state": "proved",
        "proof": by,
        "connect_ms": turn.now - state.attempt_started_at,
        "endpoint": state.place.shown,
        "transport": "ws",
    }
    if episode is not None:
        data |= {
            "first_cause": episode.cause,
            "attempts": episode.attempts,
            "endpoints_tried": ", ".join(episode.endpoints),
            "outage_ms": turn.now - episode.started_at,
        }
    recovered = episode is not None and state.ever_up
    turn.say(
        "connection_recovered" if recovered else "connection_established",
        seam=episode.seam if episode is not None and recovered else None,
        data=data,
    )


# Losses and failed attempts


def _failed(turn: _Turn, evidence: Evidence, moment: Moment, *, lag_ms: Millis = 0) -> None:
    """An attempt came to nothing."""
    options = turn.options
    verdict = classify(evidence, moment)
    timeout = options.connect.open_timeout_ms if moment is Moment.CONNECTING else options.connect.proof_timeout_ms
    turn.clear(Timer.OPEN, Timer.PROOF)
    _attempt_over(turn)
    omega = omega_of(verdict.witness, lag_ms=lag_ms, timeout_ms=timeout)
    _down(turn, evidence, verdict, verdict.delta or "connection_failed", omega, {})


def _lost(turn: _Turn, evidence: Evidence) -> None:
    """A proved socket is gone."""
    state = turn.state
    verdict = classify(evidence, Moment.PROVED)
    uptime = turn.now - state.connected_at
    before = turn.now - state.violated_at if state.violated_at is not None else None
    delta = delta_of_loss(
        verdict,
        evidence,
        is_relapse=state.episode is not None and state.episode.losses > 0,
        uptime_ms=uptime,
        violated_before_ms=before,
        options=turn.options,
    )
    if verdict.category is Category.PROTOCOL:
        turn.change(violated_at=turn.now)
    omega = omega_of(verdict.witness, lag_ms=0, timeout_ms=1)
    _leave_service(turn, collective=evidence.source is Source.PEER_CLOSE and evidence.code == 1001)
    _down(turn, evidence, verdict, delta, omega, {"uptime_ms": uptime})


def _zombie(turn: _Turn, due: Due) -> None:
    """Two pings in a row without a sign of life: the socket is cut."""
    state = turn.state
    heard_at = max(state.connected_at, due.heard_at or 0, state.heart.heard_at or 0)
    silence = turn.now - heard_at
    timeout = heartbeat.pong_timeout(state.heart, turn.options.heartbeat)
    omega = heartbeat.certainty(state.heart, silence, lag_ms=due.lag_ms, timeout_ms=timeout)
    evidence = Evidence(Source.TIMER, reason=f"no sign of life for {silence} ms")
    turn.do(CutTransport(state.attempt))
    _leave_service(turn, collective=False)
    _down(
        turn,
        evidence,
        classify(evidence, Moment.PROVED),
        "zombie_detected",
        omega,
        {"silence_ms": silence, "uptime_ms": turn.now - state.connected_at},
    )


def _leave_service(turn: _Turn, *, collective: bool) -> None:
    turn.clear(Timer.PING, Timer.PONG, Timer.STABLE)
    turn.change(
        down_since=turn.now, collective=turn.state.collective or collective, pongs_ms=(), pings_sent=0, pings_voided=0
    )
    turn.do(SetTimer(Timer.SUSPEND, turn.now + turn.options.backoff.suspend_after_ms))


def _down(
    turn: _Turn, evidence: Evidence, verdict: Verdict, delta: str, omega: Unit, data: Mapping[str, Scalar]
) -> None:
    """Tell the failure, once, and wait; or give up where only a human can help, saying so."""
    state = turn.state
    was_up = state.phase is Phase.CONNECTED
    reason = telling_text(evidence.reason)
    seam = seam_of(Fact(delta, state.plan.connection_id))
    if state.episode is None:
        cause = f"{verdict.category.value}: {reason}" if reason else verdict.category.value
        number = state.episodes + 1
        episode = Episode(f"{state.plan.life}.e{number}", turn.now, cause, seam, losses=1 if was_up else 0)
        if not was_up:
            episode = episode.tried(state.place.shown)
        turn.change(episode=episode, episodes=number)
    elif was_up:
        turn.change(episode=replace(state.episode, losses=state.episode.losses + 1))
    turn.change(
        auth_failures=state.auth_failures + 1 if verdict.category is Category.AUTH else 0,
        tls_failures=state.tls_failures + 1 if verdict.category is Category.TLS else 0,
    )
    if delta != "connection_closed_by_peer":
        turn.change(seams=MappingProxyType({**state.seams, seam: turn.now}))
    gives_up = _gives_up(turn)
    delay, least = next_wait(
        verdict,
        evidence,
        state.tries,
        turn.options,
        turn.rng,
        collective=turn.state.collective,
        loopback=state.place.loopback,
        suspended=state.suspended,
    )
    close_code = evidence.code if evidence.source in {Source.PEER_CLOSE, Source.OUR_CLOSE} else None
    turn.say(
        delta,
        omega=omega,
        lambda_="escalate_to_human" if gives_up else None,
        deadline_s=None if gives_up else 60 + -(-delay // 1000),
        data={
            "error_category": verdict.category.value,
            "reason": reason or None,
            "close_code": close_code,
            "http_status": evidence.code if evidence.source is Source.HTTP else None,
            "attempt": max(1, state.attempt),
            "endpoint": state.place.shown,
            "transport": "ws",
            "retry_in_ms": None if gives_up else delay,
            **data,
        },
    )
    if gives_up:
        _give_up(turn, verdict, reason)
        return
    _move_on(turn, evidence, was_up=was_up)
    _pause(turn, delay, least)
    if was_up:
        turn.do(Tell(LossSeen(state.plan.link_id)))


def _gives_up(turn: _Turn) -> bool:
    backoff = turn.options.backoff
    return turn.state.auth_failures >= backoff.auth_tries or turn.state.tls_failures >= backoff.tls_tries


def _give_up(turn: _Turn, verdict: Verdict, reason: str) -> None:
    turn.clear(Timer.RETRY, Timer.SUSPEND)
    turn.change(phase=Phase.FAILED, retry_at=None)
    turn.say("connection_abandoned", data={"error_category": verdict.category.value, "reason": reason or None})


def _move_on(turn: _Turn, evidence: Evidence, *, was_up: bool) -> None:
    """Which endpoint is next: the same, until it has failed twice; another at once when it says it is overloaded."""
    state = turn.state
    failures = state.failures_here + (0 if was_up else 1)
    overloaded = evidence.source is Source.PEER_CLOSE and evidence.code == 1013
    if len(state.plan.endpoints) > 1 and (overloaded or failures >= turn.options.backoff.failures_per_endpoint):
        turn.change(endpoint=(state.endpoint + 1) % len(state.plan.endpoints), failures_here=0)
    else:
        turn.change(failures_here=failures)


def _pause(turn: _Turn, delay: Millis, least: Millis) -> None:
    state = turn.state
    retry_at = turn.now + max(delay, turn.options.backoff.floor_ms)
    turn.change(
        phase=Phase.SUSPENDED if state.suspended else Phase.WAITING,
        tries=state.tries + 1,
        retry_at=retry_at,
        least_until=turn.now + least if least else None,
    )
    turn.do(SetTimer(Timer.RETRY, retry_at))


def _spread(turn: _Turn) -> None:
    """Draw the first wait anew from the wider series, unless the link is past it."""
    state = turn.state
    turn.change(collective=True)
    if state.phase is not Phase.WAITING or state.retry_at is None or state.tries != 1 or state.least_until is not None:
        return
    backoff = turn.options.backoff
    delay = wait(backoff.floor_ms, width(0, backoff, collective=True, loopback=state.place.loopback), turn.rng)
    retry_at = max(turn.now + backoff.floor_ms, (state.down_since or turn.now) + delay)
    turn.change(retry_at=retry_at)
    turn.do(SetTimer(Timer.RETRY, retry_at))


def _wake(turn: _Turn) -> None:
    state = turn.state
    if state.phase not in _PAUSING or state.retry_at is None:
        return
    backoff = turn.options.backoff
    soon = turn.now + wait(backoff.floor_ms, backoff.single_ms[0], turn.rng)
    retry_at = min(state.retry_at, max(soon, state.least_until or 0))
    turn.change(retry_at=retry_at)
    turn.do(SetTimer(Timer.RETRY, retry_at))


# Timers


def _due(turn: _Turn, due: Due) -> None:
    state = turn.state
    stalled = due.lag_ms >= turn.options.heartbeat.lag_limit_ms
    match due.timer, state.phase:
        case Timer.OPEN, Phase.CONNECTING:
            if stalled:
                turn.do(SetTimer(Timer.OPEN, turn.now + turn.options.connect.open_timeout_ms))
                return
            turn.do(CutTransport(state.attempt))
            _failed(turn, Evidence(Source.TIMER, reason="not open in time"), Moment.CONNECTING, lag_ms=due.lag_ms)
        case Timer.PROOF, Phase.PROVING:
            if stalled:
                turn.do(SetTimer(Timer.PROOF, turn.now + turn.options.connect.proof_timeout_ms))
                return
            turn.do(CutTransport(state.attempt))
            _failed(turn, Evidence(Source.TIMER, reason="upgraded, then mute"), Moment.PROVING, lag_ms=due.lag_ms)
        case Timer.STABLE, Phase.CONNECTED:
            _stable(turn)
        case Timer.RETRY, Phase.WAITING | Phase.SUSPENDED:
            turn.change(asking=True, retry_at=None)
            turn.do(Tell(ConnectWanted(state.plan.link_id, state.place.host)))
        case Timer.SUSPEND, Phase.CONNECTING | Phase.PROVING | Phase.WAITING:
            _suspend(turn)
        case Timer.PING, Phase.CONNECTED:
            if state.heart.outstanding is None:
                _ping_and_wait(turn)
            interval = turn.options.heartbeat
            turn.do(SetTimer(Timer.PING, turn.now + around(interval.interval_ms, interval.spread, turn.rng)))
        case Timer.PONG, Phase.CONNECTED:
            _pong_due(turn, due, stalled=stalled)
        case Timer.REPORT, _:
            _report(turn)
        case Timer.DRAIN, Phase.DRAINING:
            turn.do(CutTransport(state.attempt))
            _closed(turn)
        case _:
            turn.change(stale=state.stale + 1)


def _stable(turn: _Turn) -> None:
    """The outage is over: only now backoff and strikes start from nothing."""
    episode = turn.state.episode
    if episode is not None:
        turn.say(
            "connection_stable", seam=episode.seam, data={"outage_ms": turn.state.connected_at - episode.started_at}
        )
    turn.change(episode=None, tries=0, collective=False, auth_failures=0, tls_failures=0)


def _suspend(turn: _Turn) -> None:
    state = turn.state
    turn.change(suspended=True, phase=Phase.SUSPENDED if state.phase is Phase.WAITING else state.phase)
    down_since = state.down_since if state.down_since is not None else turn.now
    turn.change(seams=MappingProxyType({**state.seams, NETWORK_SEAM: turn.now}))
    turn.say(
        "connection_suspended",
        deadline_s=60 + -(-max(0, (state.retry_at or turn.now) - turn.now) // 1000),
        data={"down_ms": turn.now - down_since, "endpoint": state.place.shown},
    )


# Heartbeat


def _ping(turn: _Turn) -> None:
    heart = heartbeat.sent(turn.state.heart, turn.now)
    turn.change(heart=heart, pings_sent=turn.state.pings_sent + 1)
    turn.do(SendPing(turn.state.attempt, heart.last_number))


def _ping_and_wait(turn: _Turn) -> None:
    _ping(turn)
    turn.do(SetTimer(Timer.PONG, turn.now + heartbeat.pong_timeout(turn.state.heart, turn.options.heartbeat)))


def _ponged(turn: _Turn, number: int, rtt_ms: float) -> None:
    state = turn.state
    if state.phase not in {Phase.PROVING, Phase.CONNECTED} or not 0 < number <= state.heart.last_number:
        turn.change(stale=state.stale + 1)
        return
    heart = heartbeat.answered(state.heart, number, rtt_ms, turn.now)
    turn.change(heart=heart, pongs_ms=(*state.pongs_ms, rtt_ms))
    if heart.outstanding is None:
        turn.clear(Timer.PONG)
    if state.phase is Phase.PROVING:
        _proved(turn, "pong")


def _pong_due(turn: _Turn, due: Due, *, stalled: bool) -> None:
    state = turn.state
    ping = state.heart.outstanding
    if ping is None:
        return
    if stalled or due.blocked:
        # We were not there to hear it: the miss is void, and the peer gets one full time-out more.
        turn.change(heart=state.heart._replace(outstanding=None), pings_voided=state.pings_voided + 1)
        _ping_and_wait(turn)
        return
    if due.heard_at is not None and due.heard_at > ping.sent_at:
        # Any byte is life, even if the pong itself is stuck behind data.
        turn.change(heart=state.heart._replace(outstanding=None, misses=0))
        return
    turn.change(heart=heartbeat.missed(state.heart))
    if turn.state.heart.misses >= turn.options.heartbeat.misses:
        _zombie(turn, due)
        return
    timeout = heartbeat.pong_timeout(state.heart, turn.options.heartbeat)
    turn.change(seams=MappingProxyType({**state.seams, NETWORK_SEAM: turn.now}))
    turn.say(
        "heartbeat_missed",
        omega=heartbeat.timer_omega(due.lag_ms, timeout),
        deadline_s=30,
        data={"waited_ms": turn.now - ping.sent_at, "endpoint": state.place.shown},
    )
    _ping_and_wait(turn)


# Reports


def _report(turn: _Turn) -> None:
    """What each wanted link says once per interval, so that silence means the agent is gone."""
    state = turn.state
    if state.phase in {Phase.IDLE, Phase.DRAINING, Phase.CLOSED}:
        return
    report_ms = turn.options.telemetry.report_ms
    report_at = state.report_at + report_ms
    if report_at <= turn.now:
        report_at = turn.now + report_ms
    if state.phase is Phase.CONNECTED and state.pongs_ms:
        _summary(turn)
    elif not state.spoke:
        _say_how_it_is(turn)
    if state.phase is Phase.CONNECTED:
        _verify(turn)
    turn.change(report_at=report_at, spoke=False, pongs_ms=(), pings_sent=0, pings_voided=0)
    turn.do(SetTimer(Timer.REPORT, report_at))


def _summary(turn: _Turn) -> None:
    state = turn.state
    turn.say(
        "heartbeat_summary",
        data={
            "latency_ms": round(heartbeat.median(state.pongs_ms), 3),
            "latency_p95_ms": round(heartbeat.percentile(state.pongs_ms, 0.95), 3),
            "pongs": len(state.pongs_ms),
            "pings": state.pings_sent,
            "pings_voided": state.pings_voided or None,
            "jitter_ms": round(state.heart.jitter_ms, 3),
        },
    )


def _say_how_it_is(turn: _Turn) -> None:
    state = turn.state
    up = state.phase in {Phase.CONNECTED, Phase.DRAINING}
    turn.say(
        "link_reported_up" if up else "link_reported_down",
        lambda_="escalate_to_human" if state.phase is Phase.FAILED else None,
        data={"state": state.phase.value, "endpoint": state.place.shown},
    )


def _verify(turn: _Turn) -> None:
    """Seams that failed lately and were quiet since the last report. The network's own evidence is the heartbeat."""
    telemetry = turn.options.telemetry
    kept = {seam: at for seam, at in turn.state.seams.items() if turn.now - at <= telemetry.verify_ms}
    for seam, at in sorted(kept.items()):
        if seam != NETWORK_SEAM and turn.now - at > telemetry.report_ms:
            turn.say("seam_verified", seam=seam, data={"quiet_ms": turn.now - at})
    if len(kept) != len(turn.state.seams):
        turn.change(seams=MappingProxyType(kept))
