"""Those who speak to the outside. One class per vendor, blind to one another, one contract for all."""

from __future__ import annotations

__all__: list[str] = []
