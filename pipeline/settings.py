"""What can be set of the pipeline, checked, as sections; each becomes the frozen value that its package defines.

Reads no environment and no file: ``iskra.settings`` does. Every default is the one of the frozen value; a field's unit
is in its name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.types import Millis

from .runtime.options import KafkaOptions, RuntimeOptions
from .scoring.rules import Claims, Emit, ScoreRules, VoiceRules

__all__ = ["KafkaSettings", "RuntimeSettings", "ScoringSettings", "VoiceSettings"]

_KAFKA = KafkaOptions()
_RULES = ScoreRules()
_VOICES = VoiceRules()
_RUNTIME = RuntimeOptions()

Fraction: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds: TypeAlias = Annotated[float, Field(gt=0.0, le=86_400.0)]
TopicPrefix: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,199}$")]

_SECTION = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class KafkaSettings(BaseModel):
    """Where Kafka is and how it is spoken to."""

    model_config = _SECTION

    bootstrap: str = Field(_KAFKA.bootstrap, pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$")
    """``host:port``, several with commas."""
    topic_prefix: TopicPrefix = _KAFKA.topic_prefix
    """Topics are called ``<prefix>.events.v1``; consumer groups and transactions begin with it too."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = "PLAINTEXT"
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    """Certificates of the authorities to trust, PEM; without it the system's."""
    allow_plaintext: bool = False
    """Confirms what is refused otherwise: SASL without TLS, plain text off loopback in production."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """SASL needs its three values and, unless confirmed, TLS around it."""
        if self.security_protocol.startswith("SASL"):
            absent = [name for name in ("sasl_mechanism", "sasl_username", "sasl_password") if not getattr(self, name)]
            if absent:
                msg = f"security_protocol {self.security_protocol} needs {', '.join(absent)} too"
                raise ValueError(msg)
        elif self.sasl_mechanism is not None:
            msg = "sasl_mechanism has no effect without security_protocol SASL_SSL"
            raise ValueError(msg)
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_plaintext:
            msg = "SASL without TLS sends the password readable: use SASL_SSL, or confirm with allow_plaintext"
            raise ValueError(msg)
        return self

    def options(self) -> KafkaOptions:
        """The runtime's frozen value."""
        return KafkaOptions(
            bootstrap=self.bootstrap,
            topic_prefix=self.topic_prefix,
            security_protocol=self.security_protocol,
            sasl_mechanism=self.sasl_mechanism,
            sasl_username=self.sasl_username,
            sasl_password=self.sasl_password.get_secret_value() if self.sasl_password else None,
            ssl_cafile=str(self.ssl_cafile) if self.ssl_cafile else None,
        )


class VoiceSettings(BaseModel):
    """When the four voices speak."""

    model_config = _SECTION

    alarm_pain_above: Fraction = _VOICES.alarm_pain_above
    alarm_clear_pain: Fraction = _VOICES.alarm_clear_pain
    """Of connections."""
    level_alarm_clear_pain: Fraction = _VOICES.level_alarm_clear_pain
    """Of seams and the ecosystem."""
    concern_trust_below: Fraction = _VOICES.concern_trust_below
    concern_clear_trust: Fraction = _VOICES.concern_clear_trust
    curiosity_chaos_above: Fraction = _VOICES.curiosity_chaos_above
    curiosity_clear_chaos: Fraction = _VOICES.curiosity_clear_chaos
    celebration_trust_above: Fraction = _VOICES.celebration_trust_above
    celebration_requires_recovery: bool = _VOICES.celebration_requires_recovery

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        """What raises a voice must lie beyond what clears it, or the voice would flap."""
        for raised, cleared in (
            ("alarm_pain_above", "alarm_clear_pain"),
            ("alarm_pain_above", "level_alarm_clear_pain"),
            ("curiosity_chaos_above", "curiosity_clear_chaos"),
            ("concern_clear_trust", "concern_trust_below"),
        ):
            if getattr(self, raised) <= getattr(self, cleared):
                msg = f"{raised} must be above {cleared}"
                raise ValueError(msg)
        return self


class ScoringSettings(BaseModel):
    """How events become scores and voices."""

    model_config = _SECTION

    emit: Emit = _RULES.emit
    """Which score records of connections are published."""
    claims: Claims = _RULES.claims
    registry_file: Path | None = None
    """Rows of your own deltas and seams, merged over the built-in registry."""
    pane_s: Seconds = _RULES.pane / 1000
    out_of_orderness_s: Seconds = _RULES.out_of_orderness / 1000
    grace_s: Seconds = _RULES.grace / 1000
    idle_timeout_s: Seconds = _RULES.idle_timeout / 1000
    """A partition without records for so long lets the clock move its watermark."""
    silence_after_s: Seconds = _RULES.silence_after / 1000
    dedup_horizon_s: Seconds = _RULES.dedup_horizon / 1000
    alarm_share: Annotated[float, Field(gt=0.0, lt=0.7)] = _RULES.alarm_share
    """A seam alarms when this share of its connections hurts fully."""
    min_children: Annotated[int, Field(ge=1)] = _RULES.min_children
    seam_weights: dict[str, Annotated[float, Field(gt=0.0, le=1_000.0)]] = Field(default_factory=dict)
    max_seams: Annotated[int, Field(ge=16, le=1_024)] = _RULES.max_seams
    max_connections: Annotated[int, Field(ge=1)] = _RULES.max_connections
    voices: VoiceSettings = Field(default_factory=VoiceSettings)

    def rules(self, clock_divisor: float = 1.0) -> ScoreRules:
        """The scoring's frozen value, on a clock that runs ``clock_divisor`` times as fast.

        What was set explicitly counts as it stands: the divided clock changes only what was left to the defaults.
        """
        given = {name: getattr(self.voices, name) for name in VoiceSettings.model_fields}
        rules = ScoreRules(
            emit=self.emit,
            claims=self.claims,
            alarm_share=self.alarm_share,
            min_children=self.min_children,
            seam_weights=dict(self.seam_weights),
            max_seams=self.max_seams,
            max_connections=self.max_connections,
            voices=VoiceRules(**given),
        )
        if clock_divisor != 1.0:
            rules = rules.scaled(clock_divisor)
        lengths = {
            name.removesuffix("_s"): _millis(getattr(self, name))
            for name in self.model_fields_set
            if name.endswith("_s")
        }
        return replace(rules, **lengths)  # type: ignore[arg-type] # every name ending in _s is a Millis field of ScoreRules


class RuntimeSettings(BaseModel):
    """Times and sizes of the workers."""

    model_config = _SECTION

    checkpoint_ms: Annotated[int, Field(ge=10, le=60_000)] = _RUNTIME.checkpoint_ms
    idle_checkpoint_ms: Annotated[int, Field(ge=100, le=600_000)] = _RUNTIME.idle_checkpoint_ms
    session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = _RUNTIME.session_timeout_ms
    transaction_timeout_ms: Annotated[int, Field(ge=1_000, le=900_000)] = _RUNTIME.transaction_timeout_ms
    fetch_wait_ms: Annotated[int, Field(ge=1, le=5_000)] = _RUNTIME.fetch_wait_ms
    tick_ms: Annotated[int, Field(ge=10, le=10_000)] = _RUNTIME.tick_ms
    slice_records: Annotated[int, Field(ge=1, le=100_000)] = _RUNTIME.slice_records
    slice_ms: Annotated[int, Field(ge=1, le=1_000)] = _RUNTIME.slice_ms
    stall_after_ms: Annotated[int, Field(ge=1_000, le=3_600_000)] = _RUNTIME.stall_after_ms
    max_cut_bytes: Annotated[int, Field(ge=65_536, le=1 << 30)] = _RUNTIME.max_cut_bytes

    def options(self) -> RuntimeOptions:
        """The runtime's frozen value."""
        return RuntimeOptions(**self.model_dump())


def _millis(seconds: float) -> Millis:
    return max(1, round(seconds * 1000))
