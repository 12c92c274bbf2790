"""Connections to scores to voices: agents, scoring, and the runtime that carries processors over Kafka."""

DISTRIBUTION = "iskra-voices"

__all__ = ["DISTRIBUTION"]
