"""How the runtime is set: frozen values, filled from settings by the front door."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.types import Millis

__all__ = ["KafkaOptions", "RuntimeOptions", "heartbeat_ms"]


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Where Kafka is and how topics are called there."""

    bootstrap: str = "127.0.0.1:9092"
    topic_prefix: str = "iskra"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None

    def topic(self, logical: str) -> str:
        """The name on the cluster: ``scores.v1`` is ``iskra.scores.v1`` by default."""
        return f"{self.topic_prefix}.{logical}"

    def __repr__(self) -> str:
        """Without the password."""
        return f"KafkaOptions(bootstrap={self.bootstrap!r}, topic_prefix={self.topic_prefix!r})"


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Times and sizes of the runtime."""

    checkpoint_ms: Millis = 200
    idle_checkpoint_ms: Millis = 5_000
    session_timeout_ms: Millis = 10_000
    transaction_timeout_ms: Millis = 15_000
    fetch_wait_ms: Millis = 100
    tick_ms: Millis = 100
    slice_records: int = 2_000
    slice_ms: Millis = 10
    stall_after_ms: Millis = 60_000
    max_cut_bytes: int = 16 * 1024 * 1024
    """A partition whose next cut holds more pauses until the one in flight is committed."""


def heartbeat_ms(session_timeout_ms: Millis) -> Millis:
    """How often the group hears of us: a rebalance is noticed at the next heartbeat, so often."""
    return max(200, session_timeout_ms // 10)
