"""The composition root of the workers: settings become stages, a role's stages become a running process."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from typing import Final

from iskra.logs import logging_config
from iskra.problems import SettingsProblem
from iskra.settings import Settings
from pipeline.runtime.contract import Output, Record, Stage
from pipeline.settings import ScoringSettings
from schemas import topics
from schemas.registry import DeltaRegistry, RegistryError, builtin_registry, load_registry, merged
from schemas.rejects import Rejected, RejectReason, keep_rejected

__all__ = ["PORTS", "ROLES", "member_of", "registry_of", "run", "stages_of"]

ROLES: Final = ("scorer", "rollup", "router", "dispatcher")
PORTS: Final = {"scorer": 9600, "rollup": 9620, "router": 9640, "dispatcher": 9660}
"""Of the probes on loopback: this plus the member's number."""

_MEMBER = re.compile(rf"({'|'.join(ROLES)})(?:-(0|[1-9]\d?))?")


def run(member: str, settings: Settings, *, port: int | None = None) -> int:
    """Run this member until SIGTERM; the exit code as ``pipeline.runtime.worker`` gives it."""
    role, number = member_of(member)
    from pipeline.runtime.worker import run_worker

    return run_worker(
        role,
        stages_of(role, settings),
        settings.kafka.options(),
        settings.runtime.options(),
        member,
        port=PORTS[role] + (number or 0) if port is None else port,
        version=version("iskra-voices"),
        logging_config=logging_config(member, readable=sys.stderr.isatty()),
    )


def member_of(member: str) -> tuple[str, int | None]:
    """Role and number of ``scorer-0``. Errors: SettingsProblem naming the roles."""
    found = _MEMBER.fullmatch(member)
    if found is None:
        raise SettingsProblem(
            [f"{member[:64]!r} is no worker: it is one of {', '.join(ROLES)}, with -N (0 to 99) or without"]
        )
    return found[1], int(found[2]) if found[2] else None


def stages_of(role: str, settings: Settings) -> tuple[Stage, ...]:
    """The stages that a role runs.

    Errors: SettingsProblem for a registry file or a receiver's address that cannot be used.
    """
    if role == "scorer":
        return (_scorer(settings),)
    if role == "rollup":
        return (_rollup(settings),)
    from alerts.stages import dispatcher_stage, intake_stage, router_stage

    rules = settings.alerts.rules(settings.clock_divisor)
    receivers = settings.alerts.receivers()
    if role == "router":
        return intake_stage(rules), router_stage(receivers, rules)
    try:
        return (dispatcher_stage(receivers, allow_insecure_receivers=settings.alerts.allowed()),)
    except ValueError as error:
        raise SettingsProblem([f"alerts: {error}"]) from error


def registry_of(scoring: ScoringSettings) -> DeltaRegistry:
    """The built-in registry, with the rows of ``scoring.registry_file`` over it."""
    if scoring.registry_file is None:
        return builtin_registry()
    try:
        extra = load_registry(scoring.registry_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RegistryError) as error:
        raise SettingsProblem([f"scoring.registry_file: {scoring.registry_file}: {error}"]) from error
    return merged(builtin_registry(), extra)


def _scorer(settings: Settings) -> Stage:
    from pipeline.scorer import Scorer

    rules = settings.scoring.rules(settings.clock_divisor)
    registry = registry_of(settings.scoring)
    return Stage(
        name="scorer",
        source=topics.EVENTS,
        state=topics.STATE_SCORER,
        outputs=(topics.SCORES, topics.VOICES, topics.PARTIALS, topics.EVENTS_REJECTED, topics.EVENTS_LATE),
        factory=lambda assignment: Scorer(assignment, rules, registry),
        refuse=_refuse_event,
    )


def _refuse_event(record: Record, digest: str) -> Output:
    rejected = Rejected(RejectReason.INTERNAL_ERROR)
    kept = keep_rejected(record, rejected, worker_version=version("iskra-voices"), stack_digest=digest)
    return Output(topics.EVENTS_REJECTED, *kept)


def _rollup(settings: Settings) -> Stage:
    from pipeline.rollup import RollUp

    rules = settings.scoring.rules(settings.clock_divisor)
    registry = registry_of(settings.scoring)
    return Stage(
        name="rollup",
        source=topics.PARTIALS,
        state=topics.STATE_ROLLUP,
        # EVENTS is never written: it stands here because the roll-up must know how many partitions report to it.
        outputs=(topics.SCORES, topics.VOICES, topics.PARTIALS, topics.EVENTS),
        factory=lambda assignment: RollUp(assignment, rules, registry),
    )
