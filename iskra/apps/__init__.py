"""The composition root: settings become processors, and processors become running programs."""

__all__: list[str] = []
