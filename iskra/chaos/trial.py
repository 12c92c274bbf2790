"""One proof run on a running broker: workers, events, faults, then the ledger; from a plan that a seed determines.

It judges nothing: what it leaves is files. The broker is the caller's; topics are made here under the plan's prefix.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from iskra.apps import cluster, topics
from iskra.problems import Problem
from pipeline.runtime.options import KafkaOptions
from pipeline.scoring.rules import ScoreRules
from schemas.topics import planned
from schemas.types import Instant, Millis

from .backstage import Backstage
from .crew import ENTRY, Crew
from .generator import Speech, speak
from .ledger import FAULTS, SAMPLES, Limits, Run, Sample, write_run, writing
from .nemesis import Nemesis
from .oracle_settings import oracle_settings
from .publishing import Publisher
from .schedule import Fault
from .taps import tap

__all__ = ["SESSION", "WORKERS", "Carried", "Plan", "carry_out"]

WORKERS: Final = ("scorer-0", "scorer-1", "rollup-0", "rollup-1", "router-0", "dispatcher-0")
SESSION: Final[Millis] = 6_000
_IDLE_S: Final = 3_600
"""No clock moves a watermark: what must come of the log is then decided by the log alone."""
_IN_ORDER: Final = ("scorer", "rollup", "router", "dispatcher")
_STEP_S: Final = 0.05
_READY_WITHIN_S: Final = 90.0
_SETTLE_WITHIN_S: Final = 30.0
_SAMPLE_EVERY_S: Final = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does; the same plan gives the same input and schedule."""

    seed: int
    faults: tuple[Fault, ...]
    length: Millis
    """Of the faults; events flow as long."""
    prefix: str = "iskra-soak"
    workers: tuple[str, ...] = WORKERS
    partitions: int = 4
    events_a_s: float = 250.0
    max_events: int | None = None
    speech: Speech = field(default_factory=Speech)
    clock_divisor: int = 15
    """Event time runs so many times as fast: a run of minutes then holds as much as hours would. 15: panes of 2 s."""
    limits: Limits = field(default_factory=Limits)
    invariants: tuple[str, ...] = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11")


@dataclass(frozen=True, slots=True)
class Carried:
    """What the harness saw itself; the verdict is the checker's."""

    directory: Path
    """Of the ledger."""
    events: Mapping[str, int]
    """Tried, ok, fail, unknown."""
    faults: Mapping[str, int]
    bit: Mapping[str, int]
    slowest_s: float
    """From a kill or stop to ready again."""
    lives: Mapping[str, int]
    """Starts of each worker."""
    seconds: float


def carry_out(
    plan: Plan,
    kafka: KafkaOptions,
    home: Path,
    *,
    stage: Backstage,
    broker_dir: Path | None = None,
    entry: str = ENTRY,
    say: Say = lambda _: None,
    say_every_s: float = 5.0,
) -> Carried:
    """Make the topics, run the plan, end everything, read the topics.

    Errors: Problem when the workers are not ready in time; what had been started is ended.
    """
    ledger = home / "ledger"
    ledger.mkdir(parents=True, exist_ok=True)
    begun, began = time.monotonic(), _now()
    with cluster.admin(kafka) as admin:
        topics.apply(admin, topics.plan(planned(plan.partitions), {}, kafka.topic_prefix))
    crew = Crew(home / "workers", plan.workers, _environment(plan, kafka, stage), entry=entry)
    said = speak(plan.seed, plan.speech)
    publisher = Publisher(
        kafka.bootstrap,
        kafka.topic("events.v1"),
        said if plan.max_events is None else islice(said, plan.max_events),
        events_a_s=plan.events_a_s,
        into=ledger,
    )
    with writing(ledger / FAULTS) as lines, writing(ledger / SAMPLES) as samples:
        nemesis = Nemesis(plan.faults, crew, stage, kafka, broker_dir, lines)
        loop = _Loop(crew, samples, say, say_every_s)
        try:
            loop.until(lambda: crew.all_ready, _READY_WITHIN_S, lambda: f"not ready: {', '.join(crew.waiting())}")
            publisher.start()
            nemesis.begin()
            end = time.monotonic() + plan.length / 1000
            loop.until(
                lambda: nemesis.done and time.monotonic() >= end,
                plan.length / 1000 * 1.5 + 180,
                lambda: f"still going on: {', '.join(nemesis.going)}",
                each=nemesis.step,
                status=lambda: _status(publisher, nemesis, crew),
            )
            publisher.stop()
            _end_in_order(crew, loop)
        finally:
            crew.end()
            if not publisher.ended:
                publisher.stop()
    say("workers ended, reading the topics")
    tap(kafka, ledger, say)
    lives = Counter(life.member for life in crew.past)
    carried = Carried(
        ledger,
        dict(publisher.counts),
        dict(nemesis.counts),
        dict(nemesis.bit),
        nemesis.slowest_s,
        dict(lives),
        time.monotonic() - begun,
    )
    write_run(
        ledger,
        Run(
            seed=plan.seed,
            began=began,
            ended=_now(),
            prefix=kafka.topic_prefix,
            invariants=plan.invariants,
            limits=plan.limits,
            rules=oracle_settings(_rules(plan)),
            counts={"starts of workers": sum(lives.values()), "partitions": plan.partitions},
        ),
    )
    return carried


def _rules(plan: Plan) -> ScoreRules:
    """Those the workers are told by their environment."""
    rules = ScoreRules().scaled(plan.clock_divisor) if plan.clock_divisor != 1 else ScoreRules()
    return replace(rules, emit="all", idle_timeout=_IDLE_S * 1000)


class _Loop:
    """The one thread that owns the workers: it steps until something is so."""

    def __init__(self, crew: Crew, samples: Any, say: Say, say_every_s: float) -> None:
        self._crew = crew
        self._samples = samples
        self._say = say
        self._every = say_every_s
        self._said = self._sampled = time.monotonic()

    def until(
        self,
        so: Callable[[], bool],
        within_s: float,
        else_: Callable[[], str],
        *,
        each: Callable[[], None] = lambda: None,
        status: Callable[[], str] | None = None,
        give_up: bool = False,
    ) -> None:
        """Errors: Problem when it is not so in time, unless it may be given up."""
        deadline = time.monotonic() + within_s
        while not so():
            now = time.monotonic()
            if now > deadline:
                if give_up:
                    return
                raise Problem(else_())
            self._crew.step()
            each()
            if now - self._sampled > _SAMPLE_EVERY_S:
                self._sampled = now
                for sample in _sampled(self._crew):
                    self._samples.write(sample)
            if status is not None and now - self._said > self._every:
                self._said = now
                self._say(status())
            time.sleep(_STEP_S)


def _sampled(crew: Crew) -> list[Sample]:
    """Memory and descriptors of each worker that is ready."""
    found: list[Sample] = []
    for life in crew.running():
        process = Path("/proc", str(life.process.pid))
        try:
            pages = int((process / "statm").read_text().split()[1])
            descriptors = sum(1 for _ in (process / "fd").iterdir())
        except OSError:
            continue
        if life.ready_at is not None:
            rss = pages * os.sysconf("SC_PAGE_SIZE")
            found.append(Sample(at=_now(), process=life.name, rss=rss, descriptors=descriptors))
    return found


def _status(publisher: Publisher, nemesis: Nemesis, crew: Crew) -> str:
    """One line of progress."""
    counts = publisher.counts
    open_ = counts["tried"] - counts["ok"] - counts["fail"] - counts["unknown"]
    going = ", ".join(nemesis.going) or "calm"
    waiting = f" · not ready: {', '.join(crew.waiting())}" if crew.waiting() else ""
    bit = sum(nemesis.bit.values())
    return f"{counts['ok']} events acked, {open_} on their way · {bit} faults bit · {going}{waiting}"


def _end_in_order(crew: Crew, loop: _Loop) -> None:
    """Stop role by role, each once it has read all that those before it wrote: nothing is left unread."""
    for role in _IN_ORDER:
        if not any(life.member.startswith(role) for life in crew.running()):
            continue
        loop.until(lambda: crew.all_ready and _caught_up(crew), _SETTLE_WITHIN_S, lambda: "", give_up=True)
        names = [life.member for life in crew.running() if life.member.startswith(role)]
        crew.dismiss(names)
        loop.until(lambda: not any(crew.life(name) for name in names), _SETTLE_WITHIN_S, lambda: "", give_up=True)  # noqa: B023 asked at once


def _caught_up(crew: Crew) -> bool:
    """Whether every worker has read and written everything there is."""
    seen = [life.metrics() for life in crew.running()]
    behind = [
        value
        for metrics in seen
        for name, value in metrics.items()
        if name.startswith(("iskra_lag_records{", "iskra_checkpoint_age_seconds{"))
    ]
    return bool(behind) and all(seen) and not any(behind)


def _environment(plan: Plan, kafka: KafkaOptions, stage: Backstage) -> dict[str, str]:
    """What the workers are told, and nothing that the person who runs this has set for theirs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ISKRA_")}
    return {
        **clean,
        "ISKRA_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "ISKRA_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "ISKRA_CLOCK_DIVISOR": str(plan.clock_divisor),
        "ISKRA_SCORING__EMIT": "all",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": str(_IDLE_S),
        "ISKRA_RUNTIME__SESSION_TIMEOUT_MS": str(SESSION),
        "ISKRA_ALERTS__SLACK__TOKEN": "xoxb-soak",
        "ISKRA_ALERTS__SLACK__CHANNEL": "C0SOAK",
        "ISKRA_ALERTS__SLACK__BASE_URL": stage.sinks.slack_url,
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "soak",
        "ISKRA_ALERTS__PAGERDUTY__BASE_URL": stage.sinks.pagerduty_url,
    }


def _now() -> Instant:
    return time.time_ns() // 1_000_000
