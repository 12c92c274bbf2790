"""The command line: a module per noun. Each imports typer and the standard library only; the rest inside functions."""

__all__: list[str] = []
