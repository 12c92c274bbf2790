"""One JSON object per line, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from iskra.logs import QUIET, JsonLines, ReadableLines, WithoutBanner, logging_config, redact

CANARY = "c4n4ryc4n4ryc4n4ry"
SECRETS = [
    f"https://user:{CANARY}@kafka.example/x",
    f"amqp+ssl://{CANARY}@host",
    f"GET https://api.example/v1?token={CANARY}&a=1 failed",
    f"https://hooks.slack.com/services/T000/B000/{CANARY}",
    f"POST /webhook/{CANARY} 200",
    f"Authorization: Bearer {CANARY}",
    f"{{'Authorization': 'Bearer {CANARY}', 'x': 1}}",
    f'{{"authorization": "Basic {CANARY}"}}',
    f"Proxy-Authorization: {CANARY}",
    f"('authorization', b'token {CANARY}')",
    f"sent bearer {CANARY} to it",
    f"invalid_auth for xoxb-1-2-{CANARY}",
    f"xoxe.xoxp-1-{CANARY} and xapp-1-{CANARY}",
    f"sasl_plain_password={CANARY}",
    f"'sasl_plain_password': '{CANARY}'",
    f'{{"routing_key": "{CANARY}"}}',
    f"password = {CANARY}; next",
    f"routing_key={CANARY}&event_action=trigger",
]
PLAIN = [
    "checkpoint_committed",
    "https://kafka.example:9092/path is up",
    "connection:c-17 hurts, seam:network_infrastructure",
    "token bucket empty",
    "the secret of the demo is its weather",
    "partition 3 of iskra.events.v1 at offset 17",
]


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger that writes JSON lines into a text."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines("scorer-0"))
    logger = logging.Logger("iskra.test", logging.DEBUG)  # noqa: LOG001 - not the global one
    logger.addHandler(handler)
    yield logger, text
    handler.close()


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_taken_out_of_a_text(text: str) -> None:
    assert CANARY not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", SECRETS)
def test_no_part_of_a_record_lets_a_secret_through(lines: tuple[logging.Logger, io.StringIO], text: str) -> None:
    logger, out = lines
    logger.warning(text.replace("%", "%%"))
    logger.warning("argument %s", text)
    logger.warning("extra", extra={"said": text, "deep": {"list": [text, (text.encode(),)]}})
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("raised")
    logger.warning("object %r", {"said": text}, stack_info=True)
    assert CANARY not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 5


def test_a_value_under_the_name_of_a_secret_is_hidden_whole(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = lines
    logger.info("configured", extra={"token": CANARY, "options": {"sasl_password": CANARY, "routing_key": ""}})
    said = json.loads(out.getvalue())
    assert (said["token"], said["options"]) == ("***", {"sasl_password": "***", "routing_key": ""})


def test_a_record_is_one_json_object_with_fixed_names(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = lines
    logger.info("ready", extra={"member": "scorer-0", "seconds": 0.7, "partitions": {"scorer": [0, 1]}})
    said = json.loads(out.getvalue())
    stamp = said.pop("ts")
    assert stamp.endswith("Z")
    assert said == {
        "level": "info",
        "event": "ready",
        "logger": "iskra.test",
        "role": "scorer-0",
        "member": "scorer-0",
        "seconds": 0.7,
        "partitions": {"scorer": [0, 1]},
    }


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "\u202e", "\ud800", '"}{"event":"ready"}', "%s %d"])
def test_a_hostile_text_stays_inside_its_line_and_string(
    lines: tuple[logging.Logger, io.StringIO], hostile: str
) -> None:
    logger, out = lines
    logger.info("rejected", extra={"name_of_field": hostile})
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["name_of_field"] == hostile
    assert line.isascii()
    assert line.isprintable()


def test_arguments_that_do_not_fit_the_message_do_not_lose_the_line(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, out = lines
    logger.info("%d of %d", "x")  # noqa: PLE1206 - on purpose
    assert json.loads(out.getvalue())["event"] == "%d of %d ('x',)"


def test_for_a_person_the_line_is_short_and_a_traceback_stands_below() -> None:
    record = logging.makeLogRecord({"msg": "ready", "levelname": "INFO", "created": 0.0, "seconds": 0.5})
    assert ReadableLines("scorer-0").format(record) == "00:00:00.000 info    scorer-0     ready  seconds=0.5"
    try:
        raise KeyError("x")
    except KeyError as error:
        record.exc_info = (KeyError, error, error.__traceback__)
    first, *rest = ReadableLines("scorer-0").format(record).splitlines()
    assert (first, rest[0], rest[-1]) == (
        "00:00:00.000 info    scorer-0     ready  seconds=0.5",
        "Traceback (most recent call last):",
        "KeyError: 'x'",
    )


def test_libraries_are_heard_from_warning_on() -> None:
    assert {name: entry["level"] for name, entry in logging_config()["loggers"].items()} == dict.fromkeys(
        QUIET, "WARNING"
    )


@pytest.mark.parametrize(
    ("level", "message", "stays"),
    [
        (logging.INFO, "[^-App]: Starting...", False),
        (logging.ERROR, "[^-App]: Crashed", True),
        (logging.INFO, "ready", True),
    ],
)
def test_the_banner_of_services_is_dropped(level: int, message: str, stays: bool) -> None:
    assert WithoutBanner().filter(logging.makeLogRecord({"msg": message, "levelno": level})) is stays
