from __future__ import annotations

from typing import Any

import pytest

from alerts.sinks.slack import SlackSink

TOKEN = "xoxb-1"
HEADER = {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def post(sink: SlackSink, **more: Any) -> tuple[int, Any]:
    status, headers, body = sink.call("chat.postMessage", TOKEN, {"channel": "C1", "text": "t"} | more)
    return status, body.get("error", "ok") if status == 200 else headers.get("Retry-After")


def test_posts_are_one_a_second_per_channel_after_a_burst() -> None:
    clock = Clock()
    sink = SlackSink(clock, burst=1)
    assert [post(sink), post(sink), post(sink, channel="C2")] == [(200, "ok"), (429, "1"), (200, "ok")]
    clock.now += 1
    assert post(sink) == (200, "ok")
    assert [post(SlackSink(Clock(), burst=3)) for _ in range(1)] == [(200, "ok")]


def test_edits_are_fifty_a_minute() -> None:
    clock = Clock()
    sink = SlackSink(clock)
    post(sink)
    ts = sink.messages[0]["ts"]
    edits = [sink.call("chat.update", TOKEN, {"channel": "C1", "ts": ts, "text": "u"}) for _ in range(51)]
    assert [status for status, _, _ in edits] == [200] * 50 + [429]
    assert edits[-1][1] == {"Retry-After": "61"}


def chart(**more: Any) -> dict[str, Any]:
    series = [{"name": "pain", "data": [{"label": "a", "value": 1}, {"label": "b", "value": 2}]}]
    body = {"type": "line", "series": series, "axis_config": {"categories": ["a", "b"]}} | more
    return {"type": "data_visualization", "title": "t", "chart": body}


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_000}, "ok"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [HEADER]}, "ok"),
        ({"blocks": [HEADER | {"text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [HEADER | {"text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_000}}]}, "ok"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"text": "x"}] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [{"type": "carousel"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_000}}] * 5}, "msg_blocks_too_long"),
        ({"blocks": [chart()]}, "ok"),
        ({"blocks": [chart()] * 3}, "invalid_blocks"),
        ({"blocks": [chart(axis_config={"categories": ["a", "c"]})]}, "invalid_blocks"),
        ({"blocks": [chart(series=[])]}, "invalid_blocks"),
        ({"thread_ts": "9.9"}, "thread_not_found"),
    ],
)
def test_limits_of_messages_are_enforced(more: dict[str, Any], answer: str) -> None:
    assert post(SlackSink(Clock()), **more) == (200, answer)


@pytest.mark.parametrize(
    ("method", "token", "channel", "answer"),
    [
        ("auth.test", TOKEN, "", "ok"),
        ("auth.test", "", "", "not_authed"),
        ("auth.test", "xoxb-2", "", "invalid_auth"),
        ("chat.postMessage", TOKEN, "C9", "channel_not_found"),
        ("chat.delete", TOKEN, "C1", "unknown_method"),
        ("chat.update", TOKEN, "C1", "message_not_found"),
        ("chat.getPermalink", TOKEN, "C1", "message_not_found"),
        ("conversations.replies", TOKEN, "C1", "thread_not_found"),
    ],
)
def test_who_may_do_what(method: str, token: str, channel: str, answer: str) -> None:
    sink = SlackSink(Clock(), tokens=frozenset({TOKEN}), channels=frozenset({"C1"}))
    _, _, body = sink.call(method, token, {"channel": channel, "text": "t"})
    assert body.get("error", "ok") == answer


def test_history_shows_roots_and_broadcasts_newest_first_and_metadata_when_asked() -> None:
    sink = SlackSink(Clock(), burst=100)
    post(sink, text="root", metadata={"event_type": "x"})
    ts = sink.messages[0]["ts"]
    post(sink, text="reply", thread_ts=ts)
    post(sink, text="loud reply", thread_ts=ts, reply_broadcast=True)
    _, _, plain = sink.call("conversations.history", TOKEN, {"channel": "C1"})
    _, _, full = sink.call(
        "conversations.history", TOKEN, {"channel": "C1", "include_all_metadata": "1", "limit": "99"}
    )
    _, _, thread = sink.call("conversations.replies", TOKEN, {"channel": "C1", "ts": ts})
    assert [one["text"] for one in plain["messages"]] == ["loud reply", "root"]
    assert "metadata" not in plain["messages"][1]
    assert full["messages"][1]["metadata"] == {"event_type": "x"}
    assert [one["text"] for one in thread["messages"]] == ["root", "reply", "loud reply"]
