"""What the demo sees: voices and scores as a subscriber reads them, messages and incidents as people would see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer

from alerts.sinks import Sinks
from iskra.apps.fleet import Member
from pipeline.runtime.options import KafkaOptions
from schemas.codec import decode_score, decode_voice
from schemas.rejects import Rejected
from schemas.topics import SCORES, VOICES
from schemas.types import Level

from .verdict import SEAM, Heard, Incident, Message
from .view import View, heard, scored

__all__ = ["Watch", "incidents_of", "messages_of", "unaccounted"]

_GREEN = "#2EB67D"


@dataclass(slots=True)
class Watch:
    """What has been seen so far. Seconds count from ``ready_at``; before it they are negative."""

    ready_at: float = field(default_factory=time.time)
    view: View = field(default_factory=View)
    voices: list[Heard] = field(default_factory=list)
    seam_trust: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and trust of the demo's seam."""
    green: dict[str, float] = field(default_factory=dict)
    """When a Slack message, by its ts, was first seen green."""

    def now_s(self) -> float:
        """Seconds since the demo was ready."""
        return time.time() - self.ready_at

    async def follow(self, kafka: KafkaOptions, on_voice: Callable[[Heard], None]) -> None:
        """Read voices and scores as they are committed, until cancelled."""
        consumer = AIOKafkaConsumer(
            kafka.topic(VOICES),
            kafka.topic(SCORES),
            bootstrap_servers=kafka.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        try:
            async for record in consumer:
                if record.value is None:
                    continue
                if record.topic == kafka.topic(VOICES):
                    self._voice(record.value, on_voice)
                else:
                    self._score(record.value)
        finally:
            await consumer.stop()

    def _voice(self, value: bytes, on_voice: Callable[[Heard], None]) -> None:
        voice = decode_voice(value)
        if isinstance(voice, Rejected):
            return
        one = Heard(self.now_s(), voice.subject, voice.level, voice.voice, voice.delta)
        self.voices.append(one)
        self.view = heard(self.view, one)
        on_voice(one)

    def _score(self, value: bytes) -> None:
        score = decode_score(value)
        if isinstance(score, Rejected) or score.level is Level.CONNECTION or score.revision:
            return
        if score.subject == SEAM:
            self.seam_trust.append((self.now_s(), score.trust))
        self.view = scored(self.view, score.subject, score.pain, score.chaos, score.trust)

    def look(self, sinks: Sinks, open_links: Sequence[int], links: int, spell: str) -> None:
        """Take what the sinks and the proxy show now."""
        state = sinks.state()
        for message in state["slack"]["messages"]:
            if message["ts"] not in self.green and _is_green(message):
                self.green[message["ts"]] = self.now_s()
        self.view = replace(
            self.view,
            at_s=self.now_s(),
            spell=spell,
            connected=tuple(number in set(open_links) for number in range(links)),
            messages=messages_of(state, self.ready_at, self.green),
            incidents=incidents_of(state, self.ready_at),
        )


def _is_green(message: dict[str, Any]) -> bool:
    return any(bar.get("color") == _GREEN for bar in message["attachments"])


def messages_of(state: dict[str, Any], ready_at: float, green: dict[str, float]) -> tuple[Message, ...]:
    """The channel's root messages with their threads, from the sink's state."""
    return tuple(
        Message(
            at_s=message["posted_at"] - ready_at,
            text=message["first_text"],
            green_at_s=green.get(message["ts"]),
            resolved_text=message["text"] if message["edits"] else "",
            replies=tuple((reply["posted_at"] - ready_at, reply["text"]) for reply in message["replies"]),
        )
        for message in state["slack"]["messages"]
    )


def incidents_of(state: dict[str, Any], ready_at: float) -> tuple[Incident, ...]:
    """PagerDuty's incidents, from the sink's state."""
    return tuple(
        Incident(
            at_s=one["opened_at"] - ready_at,
            dedup_key=one["dedup_key"],
            summary=one["payload"]["summary"],
            resolved_at_s=None if one["resolved_at"] is None else one["resolved_at"] - ready_at,
        )
        for one in state["pagerduty"]["incidents"]
    )


async def unaccounted(workers: Sequence[Member]) -> float | None:
    """Sum of ``iskra_unaccounted_events`` over all workers; None when one does not say it."""
    total = 0.0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for worker in workers:
            try:
                async with session.get(f"http://127.0.0.1:{worker.port}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
            except (TimeoutError, aiohttp.ClientError):
                return None
            found = [line.rsplit(" ", 1)[1] for line in lines if line.startswith("iskra_unaccounted_events")]
            if not found:
                return None
            total += sum(abs(float(value)) for value in found)
    return total
