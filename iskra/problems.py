"""What can go wrong around the program, as one line each: what, where, what to do.

    Problem                  exit 1: a check or a target failed
    ├── SettingsProblem      exit 2: usage or configuration
    └── Unreachable          exit 3: the broker or a service is not there

None is retriable: a person reads the line and acts. Standard library only, as the command line imports it first.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Problem", "SettingsProblem", "Unreachable"]


class Problem(Exception):  # noqa: N818 it is shown to people, who do not speak of errors
    """Something that ends a command with one line."""

    exit_code = 1
    retriable = False


class SettingsProblem(Problem):
    """A setting, a file of settings or a word on the command line that cannot be used. One line per finding."""

    exit_code = 2

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


class Unreachable(Problem):
    """The broker or a service does not answer, or cannot be started here."""

    exit_code = 3
