"""The alerts section of the settings: a pydantic model of plain values. Reads no environment."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.types import Level

from .policy.model import AlertRules
from .sender import AnyReceiver, PagerDutyReceiver, SlackReceiver

__all__ = ["AlertsSettings", "PagerDutySettings", "SlackSettings"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SlackSettings(BaseModel):
    """A bot token and the channel it posts to. Both or neither."""

    model_config = _STRICT

    token: SecretStr | None = Field(default=None, description="bot token with chat:write (and channels:history)")
    channel: str = Field(default="", description="channel id, as C012AB3CD")
    base_url: str = Field(default="https://slack.com/api/", description="another address only in tests and demo")

    @model_validator(mode="after")
    def _whole(self) -> SlackSettings:
        if (self.token is not None) != bool(self.channel):
            message = "slack needs both token and channel, or neither"
            raise ValueError(message)
        return self


class PagerDutySettings(BaseModel):
    """An Events v2 integration key."""

    model_config = _STRICT

    routing_key: SecretStr | None = Field(default=None, description="integration key of Events API v2")
    base_url: str = Field(default="https://events.pagerduty.com", description="another address only in tests and demo")


class AlertsSettings(BaseModel):
    """Who is told, about what. Without a receiver: the console."""

    model_config = _STRICT

    slack: SlackSettings = SlackSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
    levels: tuple[Level, ...] = Field(
        default=(Level.SEAM, Level.ECOSYSTEM, Level.PIPELINE), description="levels whose voices may reach people"
    )
    allow_insecure_receivers: tuple[str, ...] = Field(
        default=(), description="exact host:port pairs that may be plain HTTP or not public"
    )

    def receivers(self) -> tuple[AnyReceiver, ...]:
        """The configured receivers."""
        found: list[AnyReceiver] = []
        if self.pagerduty.routing_key is not None:
            found.append(PagerDutyReceiver(self.pagerduty.routing_key.get_secret_value(), self.pagerduty.base_url))
        if self.slack.token is not None:
            found.append(SlackReceiver(self.slack.token.get_secret_value(), self.slack.channel, self.slack.base_url))
        return tuple(found)

    def allowed(self) -> tuple[str, ...]:
        """The pairs that may be plain HTTP: those named, and a base URL of loopback, which was set on purpose."""
        urls = [urlsplit(url) for url in (self.slack.base_url, self.pagerduty.base_url)]
        local = [f"{url.hostname}:{url.port}" for url in urls if url.hostname in _LOOPBACK and url.port]
        return (*self.allow_insecure_receivers, *local)

    def rules(self, clock_divisor: int = 1) -> AlertRules:
        """The rules, on a clock that is so many times faster than ours (15 in the demo)."""
        rules = AlertRules(levels=self.levels)
        return rules if clock_divisor == 1 else rules.scaled(clock_divisor)
