"""How an agent is set: frozen values with the defaults of the product.

Pure. Reading them from the environment is left to ``environ``. All times are integer milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from schemas.types import Millis

__all__ = [
    "AgentOptions",
    "BackoffOptions",
    "BudgetOptions",
    "ConnectOptions",
    "HeartbeatOptions",
    "KafkaTarget",
    "StopOptions",
    "TelemetryOptions",
]


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """One attempt, from DNS to the moment the link counts as stable."""

    open_timeout_ms: Millis = 10_000
    proof_timeout_ms: Millis = 5_000
    stable_after_ms: Millis = 10_000
    """A proved socket that lives this long ends the outage; one that dies sooner in an outage was short-lived."""
    max_message_bytes: int = 1024 * 1024
    proxy: str | None = None
    """URL of an HTTP or SOCKS proxy; None connects directly, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class BackoffOptions:
    """How long a link waits between attempts: floor + U(0, width), the width growing along a series."""

    floor_ms: Millis = 100
    single_ms: tuple[Millis, ...] = (1_000, 2_000, 4_000, 8_000, 16_000, 20_000)
    collective_ms: tuple[Millis, ...] = (5_000, 5_000, 10_000, 20_000)
    loopback_cap_ms: Millis = 2_000
    """Widest single wait for an endpoint on this machine: no herd of strangers shares it."""
    collective_links: int = 3
    collective_window_ms: Millis = 1_000
    suspend_after_ms: Millis = 120_000
    suspended_retry_ms: Millis = 30_000
    suspended_spread: float = 0.2
    rate_limited_ms: Millis = 20_000
    overloaded_ms: Millis = 30_000
    """Least wait after 1013, try again later."""
    restarting_least_ms: Millis = 5_000
    restarting_most_ms: Millis = 30_000
    """After 1012, service restart: U(least, most)."""
    tls_retry_ms: Millis = 60_000
    tls_tries: int = 3
    auth_tries: int = 2
    local_pause_ms: Millis = 5_000
    hint_cap_ms: Millis = 600_000
    failures_per_endpoint: int = 2
    """Failed attempts in a row before the next endpoint is tried."""


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """How many attempts a process makes towards one host. Grows with the number of links."""

    attempts_per_s: int = 10
    links_per_attempt_per_s: int = 20
    concurrent_least: int = 8
    concurrent_most: int = 64
    links_per_concurrent: int = 100

    def rate(self, links: int) -> float:
        """Attempts per second for so many links."""
        return max(float(self.attempts_per_s), links / self.links_per_attempt_per_s)

    def concurrent(self, links: int) -> int:
        """Attempts under way at once for so many links."""
        return min(self.concurrent_most, max(self.concurrent_least, links // self.links_per_concurrent))


@dataclass(frozen=True, slots=True)
class HeartbeatOptions:
    """Pings with a payload of our own, and when silence is death."""

    interval_ms: Millis = 15_000
    spread: float = 0.1
    pong_timeout_least_ms: Millis = 2_000
    pong_timeout_most_ms: Millis = 10_000
    """Also the time-out of the first pong, when nothing is known of the path."""
    misses: int = 2
    lag_tick_ms: Millis = 250
    lag_limit_ms: Millis = 1_000
    """The loop stood still longer than this: what was missed meanwhile is our fault, not the peer's."""


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """How often links speak, and what is kept while Kafka does not answer."""

    report_ms: Millis = 30_000
    """Equal to the pane of the scores, or their golden values do not hold."""
    verify_ms: Millis = 900_000
    """So long after its last failure a seam is verified at each quiet report."""
    ring_events: int = 10_000
    ring_bytes: int = 8 * 1024 * 1024
    window: int = 1_000
    """Records handed to the Kafka client and not yet acknowledged."""
    stale_after_ms: Millis = 10_000


@dataclass(frozen=True, slots=True)
class StopOptions:
    """What a stop may take."""

    drain_ms: Millis = 5_000
    flush_ms: Millis = 10_000


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """All of it."""

    connect: ConnectOptions = field(default_factory=ConnectOptions)
    backoff: BackoffOptions = field(default_factory=BackoffOptions)
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    heartbeat: HeartbeatOptions = field(default_factory=HeartbeatOptions)
    telemetry: TelemetryOptions = field(default_factory=TelemetryOptions)
    stop: StopOptions = field(default_factory=StopOptions)

    def scaled(self, divisor: float) -> AgentOptions:
        """The same agent on a faster clock: durations of meaning shrink, those of the network stay.

        Shape: heartbeat and report interval, the time to be stable and the time of verification are divided;
        backoff and network time-outs are not.
        """
        return replace(
            self,
            connect=replace(self.connect, stable_after_ms=round(self.connect.stable_after_ms / divisor)),
            heartbeat=replace(self.heartbeat, interval_ms=round(self.heartbeat.interval_ms / divisor)),
            telemetry=replace(
                self.telemetry,
                report_ms=round(self.telemetry.report_ms / divisor),
                verify_ms=round(self.telemetry.verify_ms / divisor),
            ),
        )


@dataclass(frozen=True, slots=True)
class KafkaTarget:
    """Where events go. An own type, because an agent in somebody's service does not know the runtime."""

    bootstrap: str = "127.0.0.1:9092"
    topic: str = "iskra.events.v1"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"KafkaTarget(bootstrap={self.bootstrap!r}, topic={self.topic!r})"
