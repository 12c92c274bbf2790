"""An outage is not a flood of lines."""

from __future__ import annotations

import logging

import pytest

from pipeline.runtime.seldom import Seldom


def said(name: str, message: str, argument: int) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, (argument,), None)


def test_libraries_say_each_kind_of_line_once_a_minute_and_we_say_everything(monkeypatch: pytest.MonkeyPatch):
    clock = [100.0]
    monkeypatch.setattr("pipeline.runtime.seldom.time.monotonic", lambda: clock[0])
    seldom = Seldom()
    lines = [
        seldom.filter(said("aiokafka", "Unable connect to %s", 1)),
        seldom.filter(said("aiokafka", "Unable connect to %s", 2)),
        seldom.filter(said("aiokafka.client", "Unable connect to %s", 1)),
        seldom.filter(said("iskra.scorer", "ready %s", 1)),
        seldom.filter(said("iskra.scorer", "ready %s", 1)),
    ]
    assert lines == [True, False, True, True, True]
    clock[0] += 60
    again = said("aiokafka", "Unable connect to %s", 3)
    assert seldom.filter(again)
    assert vars(again)["held_back"] == 1
