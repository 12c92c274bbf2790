"""What to tell whom, when and in which order. Pure: no clock, no dice, no IO; frozen values in and out."""

from __future__ import annotations

__all__: list[str] = []
