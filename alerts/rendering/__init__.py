"""Intents into words: frozen facts, sandboxed fragments, escaping once per channel, fitting into vendors' limits."""

from __future__ import annotations

__all__: list[str] = []
