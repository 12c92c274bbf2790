"""What crosses a topic: events, scores, voices, partial sums, decisions, and the topics themselves."""

DISTRIBUTION = "iskra-voices"

__all__ = ["DISTRIBUTION"]
