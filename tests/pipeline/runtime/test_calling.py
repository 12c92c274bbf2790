"""Calls: one at a time per destination, in order, answered; none after the end."""

from __future__ import annotations

import asyncio

from pipeline.runtime.calling import Caller
from pipeline.runtime.contract import Answer, Call


class Outside:
    """Answers when told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def perform(self, call: Call) -> Answer:
        self.begun.append(call.call_id)
        await self.gates.setdefault(call.call_id, asyncio.Event()).wait()
        return Answer(call.call_id, call.destination, b"ok")

    async def answer(self, call_id: str) -> None:
        self.gates.setdefault(call_id, asyncio.Event()).set()
        for _ in range(5):
            await asyncio.sleep(0)


def caller(outside: Outside) -> tuple[Caller, list[str], list[Exception]]:
    answers: list[str] = []
    errors: list[Exception] = []
    return Caller(outside.perform, lambda answer: answers.append(answer.call_id), errors.append), answers, errors


async def test_one_call_is_in_flight_per_destination_in_order():
    outside = Outside()
    calls, answers, _ = caller(outside)
    calls.start([Call("a1", "a", b""), Call("a2", "a", b""), Call("b1", "b", b"")])
    await asyncio.sleep(0)
    assert outside.begun == ["a1", "b1"]
    await outside.answer("b1")
    await outside.answer("a1")
    assert outside.begun == ["a1", "b1", "a2"]
    await outside.answer("a2")
    assert answers == ["b1", "a1", "a2"]
    assert calls.in_flight == 0


async def test_closing_begins_no_more_and_takes_the_answers_that_come_in_time():
    outside = Outside()
    calls, answers, _ = caller(outside)
    calls.start([Call("a1", "a", b""), Call("a2", "a", b"")])
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(calls.close(within=5))
    await outside.answer("a1")
    await closing
    calls.start([Call("a3", "a", b"")])
    await asyncio.sleep(0)
    assert (outside.begun, answers) == (["a1"], ["a1"])


async def test_closing_drops_a_call_that_is_not_answered_in_time():
    outside = Outside()
    calls, answers, _ = caller(outside)
    calls.start([Call("a1", "a", b"")])
    await asyncio.sleep(0)
    await calls.close(within=0)
    assert (answers, calls.in_flight) == ([], 0)


async def test_a_performer_that_raises_is_told_of():
    async def perform(call: Call) -> Answer:
        raise RuntimeError(call.call_id)

    errors: list[Exception] = []
    calls = Caller(perform, lambda _: None, errors.append)
    calls.start([Call("a1", "a", b"")])
    for _ in range(3):
        await asyncio.sleep(0)
    assert [str(error) for error in errors] == ["a1"]
