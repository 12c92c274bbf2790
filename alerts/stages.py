"""The three stages of alerts, ready for the runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.runtime.contract import Stage
from schemas import topics

from .dispatcher import Dispatcher
from .intake import Intake
from .policy.model import AlertRules, builtin_routes
from .policy.routing_step import Plan
from .router import Router
from .sender import AnyReceiver, Sender, policy_receivers

__all__ = ["dispatcher_stage", "intake_stage", "router_stage"]


def intake_stage(rules: AlertRules) -> Stage:
    """Voices into the routing log. Runs in the role ``router``."""
    return Stage(
        name="intake",
        source=topics.VOICES,
        state=topics.STATE_INTAKE,
        outputs=(topics.ROUTING, topics.ALERTS),
        factory=lambda assignment: Intake(assignment, rules),
    )


def router_stage(receivers: Sequence[AnyReceiver], rules: AlertRules) -> Stage:
    """The routing log into decisions and intents. Uses names and destinations of the receivers, no secret."""
    plan = Plan(rules, builtin_routes(policy_receivers(receivers)))
    return Stage(
        name="router",
        source=topics.ROUTING,
        state=topics.STATE_ROUTER,
        outputs=(topics.ALERTS, topics.INTENTS),
        factory=lambda _: Router(plan),
    )


def dispatcher_stage(
    receivers: Sequence[AnyReceiver],
    *,
    allow_insecure_receivers: Iterable[str] = (),
    sender: Sender | None = None,
) -> Stage:
    """Intents into messages. Give a ``Sender`` of your own to close it at the end."""
    sender = sender or Sender(receivers, allow_insecure_receivers=allow_insecure_receivers)
    return Stage(
        name="dispatcher",
        source=topics.INTENTS,
        state=topics.STATE_DISPATCHER,
        outputs=(topics.NOTIFICATIONS, topics.NOTIFICATIONS_DEAD),
        factory=lambda _: Dispatcher(),
        perform=sender.perform,
        ledger=topics.NOTIFICATIONS,
    )
