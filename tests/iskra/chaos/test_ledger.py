"""Every record of the ledger comes back from its file as it was written; a broken file says where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iskra.chaos.ledger import (
    Committed,
    FaultSeen,
    LedgerError,
    Logged,
    Received,
    Run,
    Sample,
    Sent,
    Tapped,
    log_file,
    read_lines,
    read_run,
    write_lines,
    write_run,
    writing,
)

KINDS = (Sent, FaultSeen, Tapped, Committed, Sample, Logged)


@pytest.mark.parametrize("kind", KINDS, ids=[one.__name__ for one in KINDS])
def test_records_come_back_as_they_were_written(kind: type[object], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("ledger") / "records.jsonl"

    @given(st.lists(st.from_type(kind), max_size=5))
    def come_back(records: list[object]) -> None:
        assert write_lines(path, records) == len(records)
        assert list(read_lines(path, kind)) == records

    come_back()


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    path = log_file(tmp_path, "events.v1", 3)
    first, second = Logged(0, 1, b"\xff", None), Logged(1, 2, None, b"", (("h", b"\x00"),))
    for record in (first, second):
        with writing(path) as lines:
            lines.write(record)
            lines.sync()
    assert path == tmp_path / "log" / "events.v1-3.jsonl"
    assert list(read_lines(path, Logged)) == [first, second]


def test_what_the_sinks_write_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "received.jsonl"
    path.write_text(
        '{"at": 1.5, "endpoint": "chat.update", "status": 200, "request": {"ts": "1"}, "answer": {"ok": true}}\n'
    )
    assert list(read_lines(path, Received)) == [Received(1.5, "chat.update", 200, {"ts": "1"}, {"ok": True})]


def test_the_last_line_of_a_killed_writer_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    write_lines(path, [Sample(at=1, process="scorer-0#1", rss=1)])
    path.write_bytes(path.read_bytes() + b'{"at": 2, "pro')
    assert list(read_lines(path, Sample)) == [Sample(at=1, process="scorer-0#1", rss=1)]


def test_a_line_that_is_none_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    path.write_text(
        '{"id": "a", "key": null, "seq": 1, "sha256": "", "status": "ok"}\n{"id": "b", "status": "perhaps"}\n'
    )
    with pytest.raises(LedgerError, match=r"^sent\.jsonl:2: "):
        list(read_lines(path, Sent))


def test_there_are_no_records_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "faults.jsonl", FaultSeen)) == []


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run(seed=7, began=1, ended=2, rules={"emit": "all", "waits": {"Alarm": 1}}, counts={"starts": 3})
    write_run(tmp_path, run)
    assert read_run(tmp_path) == run


@pytest.mark.parametrize(("content", "says"), [(None, "no run.json"), (b"{", "run.json: ")])
def test_a_run_that_cannot_be_read_says_so(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(LedgerError, match=says):
        read_run(tmp_path)
