from __future__ import annotations

import pytest

from alerts.calling import AnswerBody, CallBody
from alerts.dispatcher import Dispatcher
from pipeline.runtime.contract import Answer, Call, CallingProcessor, Effects, LogRecord, StateRecord
from schemas.ledger import DeadRecord, LedgerRecord
from tests.alerts.saying import intent

NOW = 1_700_000_000_000


def record(offset: int = 0, value: bytes | None = None, **more: object) -> LogRecord:
    body = intent(**more).model_dump_json().encode() if value is None else value
    return LogRecord("intents.v1", 0, offset, NOW, b"k", body)


def dispatcher(state: dict[bytes, bytes] | None = None) -> Dispatcher:
    fresh = Dispatcher()
    fresh.restore([StateRecord(key, value) for key, value in (state or {}).items()])
    return fresh


def answer(call: Call, **body: object) -> Answer:
    return Answer(call.call_id, call.destination, AnswerBody.model_validate(body).model_dump_json().encode())


def ledger(effects: Effects) -> list[tuple[str, str, str]]:
    records = [
        LedgerRecord.model_validate_json(one.value or b"") for one in effects.outputs if one.topic == "notifications.v1"
    ]
    return [(one.notification_id, one.outcome, one.reason) for one in records]


def test_it_is_a_calling_processor() -> None:
    assert isinstance(dispatcher(), CallingProcessor)


def test_the_announcement_is_in_the_state_before_the_call_is_made() -> None:
    one = dispatcher()
    effects = one.apply([record()], NOW)
    [call] = effects.calls
    assert (call.call_id, call.destination, effects.urgent, effects.counts) == (
        "n-1:1",
        "slack:default/C1",
        True,
        {"accepted": 1},
    )
    state = {record.key: record.value for record in one.snapshot()}
    assert b'"sending":{"notification_id":"n-1","tries":1' in (state[b"head|slack:default/C1"] or b"")
    assert set(state) == {b"head|slack:default/C1", b"wait|slack:default/C1|n-1"}
    assert list(one.snapshot()) == []


def test_the_ledger_and_the_end_of_the_intent_are_one_step() -> None:
    one = dispatcher()
    [call] = one.apply([record()], NOW).calls
    list(one.snapshot())
    effects = one.answered(answer(call, ids={"channel": "C1", "ts": "1.5"}, body_sha256="ab"), NOW + 70)
    [output] = effects.outputs
    assert (output.topic, output.key, effects.urgent) == ("notifications.v1", b"n-1", True)
    entry = LedgerRecord.model_validate_json(output.value or b"")
    assert (entry.outcome, entry.provider_ids, entry.finished, entry.body_sha256) == (
        "delivered",
        {"channel": "C1", "ts": "1.5"},
        NOW + 70,
        "ab",
    )
    assert [(step.at, step.outcome) for step in entry.attempts] == [(NOW + 70, "ok")]
    written = {record.key: record.value for record in one.snapshot()}
    assert written[b"wait|slack:default/C1|n-1"] is None
    assert written[b"known|slack:default/C1|g-1"] is not None
    assert one.waiting() == 0


def test_after_a_restart_an_announced_call_is_looked_for_first() -> None:
    one = dispatcher()
    one.apply([record()], NOW)
    state = {record.key: record.value for record in one.snapshot() if record.value is not None}
    two = dispatcher(state)
    [call] = two.tick(NOW + 10, at_end=True).calls
    body = CallBody.model_validate_json(call.payload)
    assert (call.call_id, body.look_first, body.intent) == ("n-1:2", True, intent())


def test_an_edit_carries_what_the_far_side_knows_the_message_by_across_restarts() -> None:
    one = dispatcher()
    [call] = one.apply([record()], NOW).calls
    one.answered(answer(call, ids={"channel": "C1", "ts": "1.5"}), NOW)
    state = {record.key: record.value for record in one.snapshot() if record.value is not None}
    two = dispatcher(state)
    resolve = record(1, notification_id="n-2", sequence=2, action="resolve", duration=5)
    [call] = two.apply([resolve], NOW).calls
    assert CallBody.model_validate_json(call.payload).ids == {"channel": "C1", "ts": "1.5"}


def test_a_dead_letter_holds_intent_and_answer() -> None:
    one = dispatcher()
    [call] = one.apply([record()], NOW).calls
    [call] = one.answered(answer(call, refused="payload", text="no"), NOW).calls
    assert CallBody.model_validate_json(call.payload).minimal
    effects = one.answered(answer(call, refused="payload", text="x" * 9_000), NOW)
    [dead] = [output for output in effects.outputs if output.topic == "notifications.dead.v1"]
    letter = DeadRecord.model_validate_json(dead.value or b"")
    assert (letter.notification_id, letter.reason, len(letter.answer)) == ("n-1", "payload", 4_096)
    assert ledger(effects) == [("n-1", "dead", "payload")]


def test_what_is_no_intent_is_counted() -> None:
    counts = (
        dispatcher()
        .apply([record(0, b"{}"), LogRecord("intents.v1", 0, 1, NOW, b"k", None), record(2), record(3)], NOW)
        .counts
    )
    assert counts == {"rejected": 1, "tombstone": 1, "accepted": 1, "duplicate": 1}


def test_an_unreadable_answer_is_unknown_and_an_answer_for_nobody_is_nothing() -> None:
    one = dispatcher()
    [call] = one.apply([record()], NOW).calls
    assert one.answered(Answer(call.call_id, "elsewhere", b"{}"), NOW).outputs == []
    assert one.answered(Answer(call.call_id, call.destination, b"?"), NOW).outputs == []
    assert one.tick(NOW + 61_000, at_end=True).calls[0].call_id == "n-1:2"


@pytest.mark.parametrize("destinations", [3])
def test_destinations_do_not_wait_for_one_another(destinations: int) -> None:
    records = [
        record(nth, destination=f"slack:default/C{nth}", notification_id=f"n-{nth}") for nth in range(destinations)
    ]
    assert len(dispatcher().apply(records, NOW).calls) == destinations


def test_a_rebuilt_state_sends_nothing_again_and_knows_the_messages_that_were_made() -> None:
    live = dispatcher()
    [call] = live.apply([record()], NOW).calls
    effects = live.answered(answer(call, ids={"channel": "C1", "ts": "1.5"}), NOW + 70)
    live.apply([record(1, notification_id="n-2", group_episode="g-2")], NOW + 80)
    entries = [LogRecord("notifications.v1", 0, n, NOW, one.key, one.value) for n, one in enumerate(effects.outputs)]

    rebuilt = dispatcher()
    rebuilt.remember([*entries, LogRecord("notifications.v1", 0, 9, NOW, b"n-0", None)])
    log = [record(), record(1, notification_id="n-2", group_episode="g-2"), record(2, b"not an intent")]
    assert rebuilt.apply(log, NOW) == Effects(counts={"accepted": 2, "rejected": 1})
    assert rebuilt.tick(NOW + 9_000_000, at_end=True) == Effects()
    state = {one.key: one.value for one in rebuilt.snapshot() if one.value is not None}
    lost = {one.key: one.value for one in live.snapshot() if one.value is not None}
    known = b"known|slack:default/C1|g-1"
    assert state[known] == lost[known]
    assert {key for key in state if key.startswith(b"wait|")} == {b"wait|slack:default/C1|n-2"}

    after = dispatcher(state)
    [call] = after.tick(NOW + 10_000, at_end=True).calls
    body = CallBody.model_validate_json(call.payload)
    assert (body.intent.notification_id, body.look_first) == ("n-2", True)
    resolve = record(3, notification_id="n-3", sequence=2, action="resolve", duration=5)
    after.answered(answer(call, ids={"channel": "C1", "ts": "2.5"}), NOW + 20_000)
    [call] = after.apply([resolve], NOW + 30_000).calls
    assert CallBody.model_validate_json(call.payload).ids == {"channel": "C1", "ts": "1.5"}


def test_what_was_dropped_is_neither_waiting_nor_known_in_a_rebuilt_state() -> None:
    entry = LedgerRecord(
        notification_id="n-1", destination="slack:default/C1", group_episode="g-1", dedup_key="d", action="open",
        sequence=1, outcome="dropped", reason="overtaken", created=NOW, finished=NOW,
    )  # fmt: skip
    rebuilt = dispatcher()
    rebuilt.remember([LogRecord("notifications.v1", 0, 0, NOW, b"n-1", entry.model_dump_json().encode())])
    rebuilt.apply([record()], NOW)
    assert [one.key for one in rebuilt.snapshot()] == [b"head|slack:default/C1"]
