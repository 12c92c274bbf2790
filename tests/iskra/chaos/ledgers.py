"""Two ledgers made by hand, of twenty lines at most, that hold every promise; a test breaks one line of them.

``counted``: three events of one connection, the second one bad, through one scorer that is killed once.

    pane   |----- 0 s … 30 s -----|----- 30 s … 60 s -----|
    events  e-0 (1 s)  bad (2 s)   e-2 (33 s): closes the first pane, one score is published
    cuts                 ^ position 2                       ^ position 3

``told``: one Alarm of a seam, told to Slack and PagerDuty, and its end.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from iskra.chaos.ledger import (
    COMMITS,
    FAULTS,
    ID_HEADER,
    RECEIVED,
    SAMPLES,
    SENT,
    TAPPED,
    Committed,
    FaultSeen,
    Limits,
    Logged,
    Received,
    Run,
    Sample,
    Sent,
    Tapped,
    log_file,
    write_lines,
    write_run,
)
from schemas.ids import record_id
from schemas.types import Instant

__all__ = ["BEGIN", "Files", "core", "counted", "samples", "told", "with_value", "write", "written"]

BEGIN: Instant = 1_700_000_010_000
"""Of a pane."""

Files = dict[str, list[Any]]
"""Records by file; those of the log under ``<topic>-<partition>``."""

_VALUES = (
    b'{"delta":"heartbeat_success","event_id":"e-0"}',
    b'{"delta":7}',
    b'{"delta":"connection_lost","event_id":"e-2"}',
)
_TIMES = (BEGIN + 1_000, BEGIN + 2_000, BEGIN + 33_000)

SCORE: dict[str, Any] = {
    "schema_version": "1.0",
    "id": "score-1",
    "subject": "connection:c-1",
    "level": "connection",
    "window_start": BEGIN,
    "window_end": BEGIN + 30_000,
    "revision": 0,
    "pain": 0.0,
    "chaos": 0.0,
    "trust": 0.59596,
    "omega": {"pain": 1.0, "chaos": 1.0, "trust": 0.191919},
    "dimension": 1,
    "counts": {"events": 1, "successes": 1, "failures": 0, "anomalies": 0},
    "link_state": "unknown",
    "contributors": [],
    "entropy": 0.0,
}


def core(watermark: Instant, highest: Instant, last_append: Instant, clock: Instant) -> bytes:
    """The scorer's core record, as far as the checker reads it."""
    return msgspec.msgpack.encode([1, 30_000, [watermark, highest, last_append, None, clock], None, [], [], [], []])


def meta(position: int, counts: dict[str, int], gap: int = 0) -> bytes:
    """A meta record of partition 0 of a stage; its name is not looked at."""
    record = {"format": 1, "stage": "scorer", "topic": "events.v1", "partition": 0, "partitions": 1, "base": 0}
    record |= {"position": position, "counts": counts, "gap": gap, "lost_by_retention": 0}
    return json.dumps(record).encode()


def counted() -> tuple[Run, Files]:
    """Events to scores; nothing is wrong."""
    run = Run(
        seed=7,
        began=BEGIN,
        ended=BEGIN + 90_000,
        invariants=("I1", "I2", "I3", "I4", "I5", "I8", "I10", "I11"),
        limits=Limits(min_events=2, must_bite=("kill",)),
        rules={"emit": "all"},
    )
    origin = (("iskra.topic", b"iskra.events.v1"), ("iskra.partition", b"0"), ("iskra.offset", b"1"))
    said = (("iskra.reason", b"missing_field"), ("iskra.path", b"dimension"), ("iskra.timestamp", b"%d" % _TIMES[1]))
    version = (("iskra.schema_version", b"1.0"), ("iskra.worker_version", b"0.1.0"))
    files: Files = {
        SENT: [
            Sent(id=f"s-{n}", key="c-1", seq=n, sha256=sha256(value).hexdigest(), status="ok", partition=0, offset=n)
            for n, value in enumerate(_VALUES)
        ],
        "events.v1-0": [
            Logged(n, at, b"c-1", value, ((ID_HEADER, b"s-%d" % n),))
            for n, (value, at) in enumerate(zip(_VALUES, _TIMES, strict=True))
        ],
        "events.rejected.v1-0": [Logged(0, _TIMES[1], b"c-1", _VALUES[1], (*origin, *said, *version))],
        "scores.v1-0": [Logged(0, _TIMES[2], b"connection:c-1", json.dumps(SCORE).encode())],
        "state.scorer.v1-0": [
            Logged(0, _TIMES[1], b"core", core(BEGIN - 1_000, BEGIN + 1_000, _TIMES[1], _TIMES[1])),
            Logged(1, _TIMES[1], b"!meta", meta(2, {"scored": 1, "rejected": 1})),
            Logged(3, _TIMES[2], b"core", core(BEGIN + 31_000, BEGIN + 33_000, _TIMES[2], _TIMES[2])),
            Logged(4, _TIMES[2], b"!meta", meta(3, {"scored": 2, "rejected": 1})),
        ],
        COMMITS: [
            Committed(at=at, group="iskra-scorer", topic="events.v1", partition=0, offset=offset)
            for at, offset in ((_TIMES[1], 2), (_TIMES[2], 3))
        ],
        FAULTS: [
            FaultSeen(at=BEGIN + 5_000, until=BEGIN + 9_000, kind="kill", target="scorer-0"),
            FaultSeen(at=BEGIN + 40_000, until=BEGIN + 80_000, kind="quiet", target="all"),
        ],
    }
    return run, files


def told() -> tuple[Run, Files]:
    """One Alarm and its end, told to two receivers; nothing is wrong."""
    run = Run(seed=7, began=BEGIN, ended=BEGIN + 600_000, invariants=("I6", "I7", "I8", "I9"))
    voice = {
        "id": "v-1",
        "delta": "voice_raised",
        "subject": "seam:network",
        "level": "seam",
        "voice": "Alarm",
        "fractal_metadata": {"voice_pain": 0.9, "voice_chaos": 0.2, "voice_trust": 0.4, "seam_id": "network"},
        "contributors": [{"event_id": "e-2", "delta": "connection_lost", "share": 1.0, "partition": 0, "offset": 2}],
    }
    receivers = {"slack": "slack:default/ops", "pagerduty": "pagerduty:default"}
    intents = [
        _intent(kind, destination, action, at, voice)
        for action, at in (("open", BEGIN), ("resolve", BEGIN + 300_000))
        for kind, destination in receivers.items()
    ]
    files: Files = {
        "voices.v1-0": [Logged(0, BEGIN, b"seam:network", json.dumps(voice).encode())],
        "routing.v1-0": [
            Logged(0, BEGIN, b"seam:network", json.dumps({"kind": "voice", "voice": voice}).encode()),
        ],
        "state.intake.v1-0": [Logged(0, BEGIN, b"!meta", meta(1, {"copied": 1}))],
        "state.router.v1-0": [Logged(0, BEGIN, b"!meta", meta(2, {"heard": 1}, gap=1))],
        "alerts.v1-0": [
            _decision(0, BEGIN, "none", "firing", [one for one in intents if one["action"] == "open"]),
            _decision(1, BEGIN + 300_000, "firing", "resolved", [one for one in intents if one["action"] == "resolve"]),
        ],
        "intents.v1-0": [
            Logged(n, one["created"], one["destination"].encode(), json.dumps(one).encode())
            for n, one in enumerate(intents)
        ],
        "notifications.v1-0": [
            Logged(n, one["created"] + 900, one["notification_id"].encode(), json.dumps(_outcome(one)).encode())
            for n, one in enumerate(intents)
        ],
        RECEIVED: [_request(one) for one in intents],
    }
    return run, files


def _intent(kind: str, destination: str, action: str, at: Instant, voice: dict[str, Any]) -> dict[str, Any]:
    excerpt = {name: voice[name] for name in ("id", "delta", "subject", "level", "voice")}
    excerpt |= {"seam_id": "network", "dimension": 3, "omega": 0.9, "lambda_": "look", "threshold": 0.7}
    excerpt |= {"pain": 0.9, "chaos": 0.2, "trust": 0.4, "window_end": at, "since": at, "episode_id": "ep"}
    return {
        "notification_id": f"{kind}-{action}",
        "destination": destination,
        "kind": kind,
        "action": action,
        "why": "first",
        "route": "all",
        "group_episode": "group-1",
        "dedup_key": "group-1/all",
        "sequence": 1 if action == "open" else 2,
        "severity": "critical",
        "created": at,
        "voice": excerpt,
        "since": at,
        "peak_pain": 0.9,
        "firing": 1,
        "muted": 0,
    }


def _decision(offset: int, at: Instant, before: str, after: str, intents: list[dict[str, Any]]) -> Logged:
    record = {
        "id": record_id("decision", "routing.v1", offset, 0),
        "subject": "seam:network",
        "level": "seam",
        "voice": "Alarm",
        "at": at,
        "position": offset,
        "trigger": "voice_raised",
        "transitions": [
            {"subject": "seam:network", "voice": "Alarm", "before": before, "after": after, "cause": "voice_raised"}
        ],
        "verdicts": [
            {
                "route": "all",
                "receiver": one["kind"],
                "group_episode": "group-1",
                "why_notify": "first",
                "notification_ids": [one["notification_id"]],
            }
            for one in intents
        ],
    }
    return Logged(offset, at, b"seam:network", json.dumps(record).encode())


def _outcome(intent: dict[str, Any]) -> dict[str, Any]:
    same = ("notification_id", "destination", "group_episode", "dedup_key", "action", "sequence", "created")
    times = {"outcome": "delivered", "reason": "ok", "finished": intent["created"] + 900}
    return {name: intent[name] for name in same} | times


def _request(intent: dict[str, Any]) -> Received:
    at = (intent["created"] + 500) / 1_000
    if intent["kind"] == "slack":
        payload = {name: intent[name] for name in ("notification_id", "group_episode", "sequence")}
        endpoint = "chat.postMessage" if intent["action"] == "open" else "chat.update"
        return Received(at, endpoint, 200, {"metadata": {"event_payload": payload}}, {"ok": True})
    action = "resolve" if intent["action"] == "resolve" else "trigger"
    request: dict[str, Any] = {"event_action": action, "dedup_key": intent["dedup_key"]}
    if action == "trigger":
        numbers = {name: intent["voice"][name] for name in ("pain", "chaos", "trust")}
        request["payload"] = {"custom_details": {"notification_id": intent["notification_id"], **numbers}}
    return Received(at, "v2/enqueue", 202, request, {"status": "success"})


def samples(*, growth: float = 0.0) -> list[Sample]:
    """A process, watched for five minutes; grows by this share a minute."""
    return [
        Sample(at=BEGIN + n * 30_000, process="scorer-0#1", rss=round(1e8 * (1 + growth * n / 2)), descriptors=40)
        for n in range(11)
    ]


def with_value(record: Logged, **changes: Any) -> Logged:
    """The record with these fields of its JSON value changed."""
    return replace(record, value=json.dumps(json.loads(record.value or b"{}") | changes).encode())


def write(directory: Path, run: Run, files: Files) -> Path:
    """Put a ledger on disk, with the tap's own lines; a log's end is behind its last record and marker."""
    tapped: list[Tapped] = []
    for name, records in files.items():
        if name in {SENT, FAULTS, COMMITS, RECEIVED, SAMPLES}:
            write_lines(directory / name, records)
            continue
        topic, _, partition = name.rpartition("-")
        write_lines(log_file(directory, topic, int(partition)), records)
        end = records[-1].offset + 2 if records else 0
        tapped.append(Tapped(topic=topic, partition=int(partition), begin=0, end=end, records=len(records)))
    write_lines(directory / TAPPED, tapped)
    write_run(directory, run)
    return directory


def written(files: Files) -> int:
    """How many lines somebody wrote by hand."""
    return sum(len(records) for records in files.values())
