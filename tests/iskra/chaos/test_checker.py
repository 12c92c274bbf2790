"""The checker can fail: each invariant is broken alone by one changed line, and the same ledgers are green as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iskra.chaos.checker import INVARIANTS, as_data, as_lines, check
from iskra.chaos.judging import Verdict
from iskra.chaos.ledger import COMMITS, FAULTS, RECEIVED, RUN, SAMPLES, SENT, Limits, Run

from .ledgers import BEGIN, Files, core, counted, samples, told, with_value, write, written

Break = Callable[[Files], None]

EVENTS, SCORES, STATE, REJECTED = "events.v1-0", "scores.v1-0", "state.scorer.v1-0", "events.rejected.v1-0"
INTENTS, ALERTS, NOTIFICATIONS, VOICES = "intents.v1-0", "alerts.v1-0", "notifications.v1-0", "voices.v1-0"


def put(name: str, number: int, **changes: object) -> Break:
    """Change fields of one line."""

    def change(files: Files) -> None:
        files[name][number] = replace(files[name][number], **changes)

    return change


def value(name: str, number: int, **changes: object) -> Break:
    """Change fields of the JSON in one record."""

    def change(files: Files) -> None:
        files[name][number] = with_value(files[name][number], **changes)

    return change


def drop(name: str, *numbers: int) -> Break:
    """Leave lines out."""

    def change(files: Files) -> None:
        files[name] = [one for number, one in enumerate(files[name]) if number not in numbers]

    return change


def again(name: str, number: int, **changes: object) -> Break:
    """Write a line once more at the end, at the next offset of a log."""

    def change(files: Files) -> None:
        offset = {"offset": files[name][-1].offset + 1} if hasattr(files[name][-1], "timestamp") else {}
        files[name].append(replace(files[name][number], **offset, **changes))

    return change


def both(*changes: Break) -> Break:
    """One after the other."""

    def change(files: Files) -> None:
        for one in changes:
            one(files)

    return change


def reason(name: bytes) -> Break:
    """Another reason on the rejected record."""

    def change(files: Files) -> None:
        record = files[REJECTED][0]
        headers = tuple((key, name if key == "iskra.reason" else data) for key, data in record.headers)
        files[REJECTED][0] = replace(record, headers=headers)

    return change


def state_time(number: int, *, watermark: int, clock: int = BEGIN + 33_000) -> Break:
    """Another event time in a core record of the scorer."""
    return put(STATE, number, value=core(watermark, BEGIN + 33_000, BEGIN + 33_000, clock))


# What breaks it, and a part of what the checker says.
KAFKA: list[tuple[str, str, Break, str]] = [
    (
        "I1",
        "an offset nobody counted",
        value(STATE, 1, counts={"rejected": 1}),
        "events.v1-0@0: 1 without an outcome among the offsets up to 1 (by state.scorer.v1-0@1)",
    ),
    (
        "I1",
        "more outcomes than offsets",
        value(STATE, 3, gap=1),
        "events.v1-0@2: 1 more outcomes than records among the offsets up to 2",
    ),
    (
        "I1",
        "a record counted as a gap",
        value(STATE, 1, counts={"rejected": 1}, gap=1),
        "events.v1-0@0: the log has 2 records from here to 1, 1 were given an outcome",
    ),
    (
        "I2",
        "acknowledged, and not in the log",
        again(SENT, 2, id="s-3", offset=3),
        "events.v1-0@3: s-3 was acknowledged and is not in the log",
    ),
    ("I2", "failed, and in the log", put(SENT, 2, status="fail"), "events.v1-0@2: s-2 failed, and is in the log"),
    ("I2", "in the log, and nobody sent it", drop(SENT, 0), "events.v1-0@0: nobody sent this record"),
    ("I2", "another value than was sent", put(SENT, 0, sha256="00"), "events.v1-0@0: s-0 was sent with another value"),
    ("I3", "a score off by 2e-6", value(SCORES, 0, trust=0.595962), "trust is 0.595962, by the oracle 0.59596"),
    (
        "I3",
        "a count off by one",
        value(SCORES, 0, counts={"events": 2, "successes": 1, "failures": 0, "anomalies": 0}),
        "counts is (2, 1, 0, 0)",
    ),
    (
        "I3",
        "a score that is not there",
        drop(SCORES, 0),
        "connection:c-1 at 1700000040000: not published; the oracle says 0.0 0.0 0.59596",
    ),
    (
        "I3",
        "a revision whose forerunner is not there",
        value(SCORES, 0, revision=1),
        "scores.v1-0@0: connection:c-1 at 1700000040000: revision 1 is there, 0 is not",
    ),
    (
        "I3",
        "a score of a pane that nobody closed",
        lambda files: files[SCORES].append(
            with_value(replace(files[SCORES][0], offset=1), id="score-2", window_end=BEGIN + 60_000)
        ),
        "scores.v1-0@1: connection:c-1 at 1700000070000: published, the oracle knows of no such pane",
    ),
    ("I3", "another reason", reason(b"wrong_type"), "events.v1-0@1: the log says wrong_type, the oracle missing_field"),
    (
        "I4",
        "a key that is not the subject",
        put(SCORES, 0, key=b"connection:c-2"),
        "scores.v1-0@0: its key is not its subject 'connection:c-1'",
    ),
    (
        "I4",
        "a revision that goes back",
        lambda files: files[SCORES].insert(
            0, with_value(replace(files[SCORES][0], offset=-1), id="score-0", revision=1)
        ),
        "scores.v1-0@0: connection:c-1 at 1700000040000: revision 0 after 1",
    ),
    (
        "I5",
        "a group behind the state",
        put(COMMITS, 0, offset=1),
        "events.v1-0@1: the group's offset went to 1, the state's position to 2",
    ),
    (
        "I5",
        "an offset that only the group has",
        lambda files: files[COMMITS].insert(0, replace(files[COMMITS][0], offset=1)),
        "events.v1-0@1: the group's offset went to 1, the state's position to 2",
    ),
    (
        "I5",
        "a checkpoint without a group offset",
        drop(COMMITS, 0),
        "events.v1-0@2: the group's offset went to 3, the state's position to 2",
    ),
    (
        "I5",
        "a watermark that falls",
        state_time(0, watermark=BEGIN + 32_000),
        "the watermark of 0 fell from 1700000042000 to 1700000041000",
    ),
    (
        "I5",
        "a watermark ahead of the broker",
        state_time(2, watermark=BEGIN + 33_001),
        "events.v1-0@2: the watermark of 0 is 1700000043001, 1 ms ahead of the broker",
    ),
    ("I8", "an output seen twice", again(SCORES, 0), "scores.v1-0@1: id score-1 was seen before, at scores.v1-0@0"),
    (
        "I10",
        "rejected bytes that changed",
        put(REJECTED, 0, value=b'{"delta": 7}'),
        "events.rejected.v1-0@0: its value is not that of events.v1-0@1",
    ),
    (
        "I10",
        "a rejected key that changed",
        put(REJECTED, 0, key=b"c-2"),
        "events.rejected.v1-0@0: its key is not that of events.v1-0@1",
    ),
    (
        "I11",
        "a backlog done too late",
        put(COMMITS, 1, at=BEGIN + 75_000),
        "events.v1-0@2: 35.0 s until the backlog of events.v1-0 was done",
    ),
]

TOLD: list[tuple[str, str, Break, str]] = [
    (
        "I6",
        "a voice nobody decided on",
        value(ALERTS, 0, id="another"),
        "routing.v1-0@0: nobody decided on voice_raised of seam:network",
    ),
    (
        "I6",
        "a voice that never came to the router",
        value("routing.v1-0", 0, voice=None),
        "voices.v1-0@0: voice_raised of seam:network is neither routed nor decided on",
    ),
    (
        "I7",
        "an intent of no decision",
        value(ALERTS, 0, verdicts=[]),
        "intents.v1-0@0: slack-open is of no decision",
    ),
    (
        "I6",
        "a decision without an outcome",
        drop(NOTIFICATIONS, 0),
        "slack-open to slack:default/ops has no outcome after 120 s",
    ),
    (
        "I6",
        "delivered, and nobody took it",
        drop(RECEIVED, 2),
        "slack-resolve counts as delivered, slack:default/ops has taken nothing of it",
    ),
    (
        "I6",
        "a wrong answer taken for a good one",
        put(RECEIVED, 0, answer={"ok": False}),
        "slack-open counts as delivered, slack:default/ops has taken nothing of it",
    ),
    (
        "I6",
        "the ledger before the call",
        put(RECEIVED, 0, at=(BEGIN + 5_000) / 1_000),
        "slack-open counted as delivered before slack:default/ops had taken it",
    ),
    (
        "I6",
        "a delivery after its deadline",
        value(NOTIFICATIONS, 0, finished=BEGIN + 130_000),
        "slack-open to slack:default/ops ended 130000 ms late",
    ),
    (
        "I6",
        "a failure without a reason",
        value(NOTIFICATIONS, 0, outcome="dead", reason=""),
        "slack-open was dead without a reason",
    ),
    ("I7", "a voice nobody spoke", drop(VOICES, 0), "intents.v1-0@0: tells voice v-1, which nobody spoke"),
    (
        "I7",
        "other numbers than the voice's",
        value(VOICES, 0, fractal_metadata={"voice_pain": 0.8, "voice_chaos": 0.2, "voice_trust": 0.4}),
        "intents.v1-0@0: tells other numbers than voice v-1",
    ),
    ("I7", "an experiment", value(VOICES, 0, experiment_id="drill-7"), "intents.v1-0@0: tells of experiment drill-7"),
    (
        "I7",
        "a request nobody decided",
        lambda files: files[RECEIVED].append(
            replace(files[RECEIVED][0], request={"metadata": {"event_payload": {"notification_id": "stray"}}})
        ),
        "chat.postMessage at 1700000010500 tells stray, which nobody decided",
    ),
    (
        "I8",
        "a post more than kills excuse",
        again(RECEIVED, 0),
        "intents.v1-0@0: 1 deliveries too many, 0 kills and 0 cuts excuse 0: slack-open most",
    ),
    (
        "I8",
        "a decision seen twice",
        again(ALERTS, 0),
        "alerts.v1-0@2: id 7713dd150edf929d762e92cf4195c1c6 was seen before, at alerts.v1-0@0",
    ),
    (
        "I9",
        "a page whose end nobody decided to tell",
        both(
            lambda files: files[ALERTS].__setitem__(
                1, with_value(files[ALERTS][1], verdicts=json.loads(files[ALERTS][1].value)["verdicts"][:1])
            ),
            drop(INTENTS, 3),
            drop(NOTIFICATIONS, 3),
            drop(RECEIVED, 3),
        ),
        "intents.v1-0@1: pagerduty:default was told of group-1, which ended at 1700000310000, and of no end",
    ),
    (
        "I9",
        "a resolve before its trigger",
        lambda files: files[RECEIVED].reverse(),
        "group-1/all was resolved at 1700000310500 before it was triggered",
    ),
]


def test_a_clean_ledger_of_twenty_lines_is_green(tmp_path: Path) -> None:
    run, files = counted()
    assert written(files) <= 20
    report = check(write(tmp_path, run, files))
    assert as_lines(report) == [
        "green  seed 7",
        "I1  conservation            green",
        "I2  no acked loss           green",
        "I3  exactly once in effect  green",
        "I4  order                   green",
        "I5  time                    green",
        "I8  no repeats              green",
        "I10 round trip              green",
        "I11 liveness                green",
        "attempt 3  ok 3  unknown 0  fail 0",
        "scored 2  rejected 1  late 0  duplicate 0  tombstone 0",
        "lost 0  unexpected 0",
        "repeats 0/0  extra 0/0",
        "slowest recovery 0.0 s",
        "faults that bit: kill 1  quiet 1",
    ]
    assert report.exit_code == 0


def _names(table: list[tuple[str, str, Break, str]]) -> list[str]:
    return [f"{invariant}: {what}" for invariant, what, _, _ in table]


def _assert_broken_alone(directory: Path, run: Run, files: Files, invariant: str, says: str) -> None:
    report = check(write(directory, run, files))
    verdicts = {name: one.verdict.value for name, one in report.judgements.items()}
    assert verdicts == {name: "violated" if name == invariant else "green" for name in run.invariants}
    assert says in " | ".join(map(str, report.judgements[invariant].findings))
    assert (report.verdict, report.exit_code) == (Verdict.VIOLATED, 1)


@pytest.mark.parametrize(("invariant", "what", "change", "says"), KAFKA, ids=_names(KAFKA))
def test_one_changed_line_breaks_its_invariant_alone(
    tmp_path: Path, invariant: str, what: str, change: Break, says: str
) -> None:
    run, files = counted()
    change(files)
    _assert_broken_alone(tmp_path, run, files, invariant, says)


def test_a_clean_ledger_of_deliveries_is_green(tmp_path: Path) -> None:
    run, files = told()
    assert written(files) <= 20
    report = check(write(tmp_path, run, files))
    assert as_lines(report) == [
        "green  seed 7",
        "I6  completeness            green",
        "I7  soundness               green",
        "I8  no repeats              green",
        "I9  lifecycle               green",
        "repeats 0/0  decisions 2  delivered 4  extra 0/0",
    ]


@pytest.mark.parametrize(("invariant", "what", "change", "says"), TOLD, ids=_names(TOLD))
def test_one_changed_line_about_deliveries_breaks_its_invariant_alone(
    tmp_path: Path, invariant: str, what: str, change: Break, says: str
) -> None:
    run, files = told()
    change(files)
    _assert_broken_alone(tmp_path, run, files, invariant, says)


def test_every_invariant_is_broken_by_some_case() -> None:
    broken = {case[0] for case in (*KAFKA, *TOLD)}
    assert broken | {"I12"} == {one.name for one in INVARIANTS}


@pytest.mark.parametrize(("growth", "verdict"), [(0.0, "green"), (0.009, "green"), (0.012, "violated")])
def test_a_process_may_not_grow_by_more_than_a_percent_a_minute(tmp_path: Path, growth: float, verdict: str) -> None:
    run, _ = counted()
    report = check(
        write(tmp_path, replace(run, invariants=("I12",), limits=Limits()), {SAMPLES: samples(growth=growth)})
    )
    assert report.verdict == verdict
    assert report.numbers["processes_judged"] == 1


def test_descriptors_that_gather_are_a_violation(tmp_path: Path) -> None:
    run, _ = counted()
    rising = [replace(one, descriptors=40 + number) for number, one in enumerate(samples())]
    report = check(write(tmp_path, replace(run, invariants=("I12",), limits=Limits()), {SAMPLES: rising}))
    assert [str(one) for one in report.judgements["I12"].findings] == ["scorer-0#1 has 49 descriptors, it had 43"]


# ------------------------------------------------------------------------------------------------------- verdicts

INCONCLUSIVE: list[tuple[str, Break, dict[str, object], str]] = [
    ("too few events", drop(SENT), {"limits": Limits(min_events=4)}, "3 acknowledged events, at least 4 are needed"),
    ("a fault that never bit", put(FAULTS, 0, bit=False), {}, "no kill had its effect"),
    ("a fault that never was", drop(FAULTS, 0), {}, "no kill had its effect"),
    ("no quiet after the faults", drop(FAULTS, 1), {}, "no quiet phase follows the last fault"),
    ("no group offsets", lambda files: files.update({COMMITS: []}), {}, "no group offsets were seen"),
    ("an invariant nobody knows", drop(SENT), {"invariants": ("I99",)}, "there is no invariant I99"),
    ("nothing to judge", drop(SENT), {"invariants": ()}, "no invariant applies"),
]


@pytest.mark.parametrize(("what", "change", "run_changes", "says"), INCONCLUSIVE, ids=[one[0] for one in INCONCLUSIVE])
def test_a_run_that_proves_nothing_is_inconclusive_and_no_better_than_red(
    tmp_path: Path, what: str, change: Break, run_changes: dict[str, object], says: str
) -> None:
    run, files = counted()
    change(files)
    report = check(write(tmp_path, replace(run, **run_changes), files))  # type: ignore[arg-type] # a table of fields
    assert (report.verdict, report.exit_code) == (Verdict.INCONCLUSIVE, 1)
    assert says in "\n".join(as_lines(report))


def test_a_violation_outweighs_a_doubt(tmp_path: Path) -> None:
    run, files = counted()
    both(drop(FAULTS, 0), again(SCORES, 0))(files)
    assert check(write(tmp_path, run, files)).verdict is Verdict.VIOLATED


def test_a_tap_that_lacks_a_line_is_inconclusive(tmp_path: Path) -> None:
    run, files = counted()
    write(tmp_path, run, files)
    log = tmp_path / "log" / "events.v1-0.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    report = check(tmp_path)
    assert (report.verdict, report.doubts) == (
        Verdict.INCONCLUSIVE,
        ("log/events.v1-0.jsonl: 2 lines, its tap counted 3",),
    )


def test_a_line_that_is_no_record_names_its_place(tmp_path: Path) -> None:
    run, files = counted()
    write(tmp_path, run, files)
    (tmp_path / SENT).write_bytes(b'{"id": 7}\n')
    report = check(tmp_path)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.doubts[0].startswith("sent.jsonl:1: ")


def test_a_directory_without_a_run_is_inconclusive(tmp_path: Path) -> None:
    assert check(tmp_path).doubts == (f"{tmp_path}: no {RUN}, so no run was recorded here",)


# ------------------------------------------------------------------------------------------- what people and pipes see


def test_the_timeline_shows_records_checkpoints_and_faults_around_the_first_bad_offset(tmp_path: Path) -> None:
    run, files = counted()
    value(STATE, 1, counts={"rejected": 1}, gap=1)(files)
    report = check(write(tmp_path, run, files))
    assert report.around == "events.v1-0@0"
    assert list(report.timeline) == [
        '+1.000s  > events.v1-0@0 c-1 {"delta":"heartbeat_success","event_id":"e-0"}',
        '+2.000s    events.v1-0@1 c-1 {"delta":7}  -> events.rejected.v1-0@0: missing_field',
        "+2.000s    checkpoint state.scorer.v1-0@1: position 2, rejected 1, gap 1",
        "+2.000s    group iskra-scorer committed 2",
        "+5.000s  kill of scorer-0 until +9.000s",
        '+33.000s    events.v1-0@2 c-1 {"delta":"connection_lost","event_id":"e-2"}',
        "+33.000s    checkpoint state.scorer.v1-0@4: position 3, rejected 1 scored 2, gap 0",
        "+33.000s    group iskra-scorer committed 3",
    ]


def test_the_report_is_one_json_object(tmp_path: Path) -> None:
    run, files = counted()
    again(SCORES, 0)(files)
    report = as_data(check(write(tmp_path, run, files)))
    assert json.loads(json.dumps(report)) == report
    assert report["verdict"] == "violated"
    assert report["invariants"]["I8"] == {
        "verdict": "violated",
        "findings": [{"text": "id score-1 was seen before, at scores.v1-0@0", "place": "scores.v1-0@1"}],
        "doubts": [],
    }
    assert report["numbers"]["repeats"] == 1
