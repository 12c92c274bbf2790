"""What a failure is called and how long the link waits after it.

Pure decisions used by ``link``: one event per loss, one wait per failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.types import Instant, Millis, Unit

from .backoff import around, between, wait, width
from .dice import Rng
from .evidence import Category, Evidence, Source, Verdict, Witness
from .facts import OMEGA_PEER, OMEGA_SEEN
from .heartbeat import timer_omega
from .options import AgentOptions

__all__ = ["Episode", "delta_of_loss", "next_wait", "omega_of"]

_CLEAN_CLOSE = frozenset({1000, 1001, 1005, 1012})
_ANNOUNCED = frozenset({1001, 1012})
_SECOND_VIOLATION_WITHIN_MS: Millis = 600_000


@dataclass(frozen=True, slots=True)
class Episode:
    """An outage, from the first loss or failed first attempt to the proof that became stable."""

    episode_id: str
    started_at: Instant
    cause: str
    """Category and reason of the first failure."""
    seam: str
    """Where the first failure was told; there the recovery is told as well."""
    losses: int = 0
    """Proved sockets lost in it: from the second on they were recoveries that did not last."""
    attempts: int = 0
    endpoints: tuple[str, ...] = ()
    """Places tried, in the order of the first try."""

    def tried(self, endpoint: str) -> Episode:
        """The episode after one more attempt."""
        known = self.endpoints if endpoint in self.endpoints else (*self.endpoints, endpoint)
        return replace(self, attempts=self.attempts + 1, endpoints=known)


def delta_of_loss(
    verdict: Verdict,
    evidence: Evidence,
    *,
    is_relapse: bool,
    uptime_ms: Millis,
    violated_before_ms: Millis | None,
    options: AgentOptions,
) -> str:
    """The one event that tells the loss of a proved socket (zombies have their own).

    Shape: the category's own delta first; then ``connection_short_lived`` for a recovery that did not last, unless the
    peer announced its restart; then the peer's clean close; else ``connection_lost``. A first protocol error counts as
    a loss (a bad Wi-Fi does that), a second one within 10 min as a violation.
    """
    is_first_violation = verdict.category is Category.PROTOCOL and (
        violated_before_ms is None or violated_before_ms > _SECOND_VIOLATION_WITHIN_MS
    )
    is_clean = evidence.source is Source.PEER_CLOSE and evidence.code in _CLEAN_CLOSE
    if verdict.delta is not None and not is_first_violation and not is_clean:
        return verdict.delta
    is_announced = evidence.source is Source.PEER_CLOSE and evidence.code in _ANNOUNCED
    if is_relapse and uptime_ms < options.connect.stable_after_ms and not is_announced:
        return "connection_short_lived"
    return "connection_closed_by_peer" if is_clean else "connection_lost"


def omega_of(witness: Witness, *, lag_ms: Millis, timeout_ms: Millis) -> Unit:
    """Ω by who says so: the peer 1, we .9, a timer .7 less the share of the time in which our loop stood still."""
    match witness:
        case Witness.PEER:
            return OMEGA_PEER
        case Witness.SEEN:
            return OMEGA_SEEN
        case Witness.TIMER:  # pragma: no branch - the last of a closed list
            return timer_omega(lag_ms, timeout_ms)


def next_wait(
    verdict: Verdict,
    evidence: Evidence,
    tries: int,
    options: AgentOptions,
    rng: Rng,
    *,
    collective: bool,
    loopback: bool,
    suspended: bool,
) -> tuple[Millis, Millis]:
    """How long until the next attempt, and which part of it nobody may cut short.

    Shape: (wait, least). The least is what the server asked for or what its category demands; 0 when it is all backoff.
    Units: milliseconds.
    """
    backoff = options.backoff
    step = width(tries, backoff, collective=collective, loopback=loopback)
    least = _least(verdict, evidence, options)
    if evidence.source is Source.PEER_CLOSE and evidence.code == 1012:
        delay = between(backoff.restarting_least_ms, backoff.restarting_most_ms, rng)
        least = min(least or delay, delay)
    else:
        delay = wait(least or backoff.floor_ms, step, rng)
    if suspended:
        delay = max(delay, around(backoff.suspended_retry_ms, backoff.suspended_spread, rng))
    return delay, least


def _least(verdict: Verdict, evidence: Evidence, options: AgentOptions) -> Millis:
    backoff = options.backoff
    hint = min(verdict.hint_ms or 0, backoff.hint_cap_ms)
    match verdict.category:
        case Category.RATE_LIMITED:
            overloaded = evidence.source is Source.PEER_CLOSE and evidence.code == 1013
            return hint or (backoff.overloaded_ms if overloaded else backoff.rate_limited_ms)
        case Category.TLS:
            return max(hint, backoff.tls_retry_ms)
        case Category.LOCAL:
            return max(hint, backoff.local_pause_ms)
        case _:
            return hint
