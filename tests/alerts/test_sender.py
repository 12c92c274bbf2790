from __future__ import annotations

import io
import logging

import pytest

from alerts.calling import AnswerBody, CallBody
from alerts.sender import ConsoleReceiver, Sender, SlackReceiver
from alerts.sinks import Fault, Sinks
from pipeline.runtime.contract import Call
from tests.alerts.saying import intent


def call(destination: str, payload: bytes | None = None) -> Call:
    body = payload or CallBody(intent=intent()).model_dump_json().encode()
    return Call("n-1:1", destination, body)


async def test_the_console_gets_a_line_each() -> None:
    stream = io.StringIO()
    sender = Sender([ConsoleReceiver(stream=stream)])
    answer = await sender.perform(call("console:console"))
    assert AnswerBody.model_validate_json(answer.payload).refused is None
    assert stream.getvalue() == (
        "1970-01-01T00:01:34.000Z open    ▲ Alarm · seam network_infrastructure: Pain .81 is above .70. 36 of 60 links hurt.\n"
    )
    await sender.close()


async def test_a_closed_console_is_transient() -> None:
    stream = io.StringIO()
    stream.close()
    answer = await Sender([ConsoleReceiver(stream=stream)]).perform(call("console:console"))
    assert AnswerBody.model_validate_json(answer.payload).refused == "transient"


@pytest.mark.parametrize(
    ("destination", "payload", "refused"),
    [("console:console", b"?", "payload"), ("slack:gone/C1", None, "config")],
)
async def test_what_cannot_be_sent_is_an_answer_too(destination: str, payload: bytes | None, refused: str) -> None:
    answer = await Sender([]).perform(call(destination, payload))
    assert (answer.call_id, answer.destination) == ("n-1:1", destination)
    assert AnswerBody.model_validate_json(answer.payload).refused == refused


async def test_operators_hear_once_that_a_destination_refuses_us_and_once_that_it_is_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sinks = Sinks()
    await sinks.start()
    receiver = SlackReceiver("xoxb-canary", "C1", sinks.slack_url)
    sender = Sender([receiver], allow_insecure_receivers=sinks.allowed)
    sinks.script.add(Fault("chat.postMessage", times=2, error="token_revoked"))
    for _ in range(4):
        await sender.perform(call(receiver.destination))
    await sender.close()
    await sender.close()
    await sinks.stop()
    assert [(one.levelno, one.message) for one in caplog.records if one.name == "alerts.sender"] == [
        (logging.ERROR, "destination slack:default/C1 refuses our configuration: status 200 token_revoked"),
        (logging.WARNING, "destination slack:default/C1 accepts again"),
    ]
