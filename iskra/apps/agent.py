"""The agent's place in the composition: the product's Kafka settings as the agent's own target."""

from __future__ import annotations

from pipeline.agents.core.options import KafkaTarget
from pipeline.settings import KafkaSettings
from schemas.topics import EVENTS

__all__ = ["kafka_target"]


def kafka_target(kafka: KafkaSettings) -> KafkaTarget:
    """Where an agent started by the command line sends its events."""
    options = kafka.options()
    return KafkaTarget(
        bootstrap=options.bootstrap,
        topic=options.topic(EVENTS),
        security_protocol=options.security_protocol,
        sasl_mechanism=options.sasl_mechanism,
        sasl_username=options.sasl_username,
        sasl_password=options.sasl_password,
        ssl_cafile=options.ssl_cafile,
    )
