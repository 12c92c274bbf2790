"""What the oracle accepts (semantics.md 3.2): repeats, lateness, idle clock, holds, surplus seams, the levels' panes."""

from __future__ import annotations

from dataclasses import replace

from iskra.chaos.oracle import ClockStep, OracleEvent, Verdict, evaluate

from .timelines import LINK, RULES, beats, established, hot, log_of, said, score_at, told


def record(
    offset: int, at: float, delta: str, link: str = LINK, append: float | None = None, **fields: object
) -> OracleEvent:
    """One record by hand; it is appended when it happens unless said otherwise."""
    event = hot(said(at, delta, link, **fields), offset)
    return OracleEvent(offset, round((at if append is None else append) * 1000), event, value=b"v")


def verdicts(*records: OracleEvent, clock: tuple[ClockStep, ...] = ()) -> list[Verdict]:
    return list(evaluate([records], RULES, clock={0: clock}).verdicts[0])


def test_an_event_is_late_once_its_panes_grace_is_over_by_the_watermark_before_it() -> None:
    """Pane [0, 30) and its grace end at 40; the watermark is 2 s behind the newest event."""
    first, old = record(0, 0, "connection_established"), record(2, 29, "heartbeat_success", append=45)
    newer = record(1, 41.999, "heartbeat_success", append=42)
    at_grace = record(1, 42, "heartbeat_success", append=42)
    assert verdicts(first, newer, old)[2] is Verdict.SCORED
    assert verdicts(first, at_grace, old)[2] is Verdict.LATE


def test_an_event_in_order_for_its_own_connection_is_saved_up_to_300_s_behind() -> None:
    ahead = record(0, 400, "connection_established", "ahead")
    kept, lost = (
        record(1, 98, "connection_established", append=401),
        record(1, 97.999, "connection_established", append=401),
    )
    again = record(2, 97, "heartbeat_success", append=402)
    assert verdicts(ahead, kept) == [Verdict.SCORED, Verdict.SCORED]
    assert verdicts(ahead, lost) == [Verdict.SCORED, Verdict.LATE]
    assert verdicts(ahead, replace(kept, event=hot(said(200, "connection_established"), 1)), again)[2] is Verdict.LATE


def test_a_repeat_is_a_duplicate_or_a_conflict_until_the_horizon_and_only_scored_events_reserve_their_id() -> None:
    one = record(0, 0, "connection_established", event_id="x")
    same = record(1, 10, "connection_lost", event_id="x")
    other = replace(same, value=b"w")
    assert verdicts(one, same) == [Verdict.SCORED, Verdict.DUPLICATE]
    assert verdicts(one, other) == [Verdict.SCORED, Verdict.ID_CONFLICT]
    busy = [record(n, at, "connection_established", "busy") for n, at in enumerate(range(60, 3603, 60), start=1)]
    last = record(99, 3602, "connection_established", "busy")
    after = record(100, 3602, "connection_lost", event_id="x")
    assert (
        verdicts(one, *busy, replace(last, event=hot(said(3601.999, "connection_lost", "busy"), 99)), after)[-1]
        is Verdict.DUPLICATE
    )
    assert verdicts(one, *busy, last, after)[-1] is Verdict.SCORED
    late = record(2, 1, "connection_lost", event_id="y", append=50)
    assert verdicts(one, record(1, 45, "connection_lost"), late, replace(late, offset=3)) == [
        Verdict.SCORED,
        Verdict.SCORED,
        Verdict.LATE,
        Verdict.LATE,
    ]


def test_the_idle_clock_moves_the_watermark_but_not_a_held_one() -> None:
    first, second = record(0, 0, "connection_established"), record(1, 100, "heartbeat_success")
    step = ClockStep(after_offset=0, watermark=60_000, now=60_000)
    assert evaluate([[first]], RULES, clock={0: [step]}).watermarks == (60_000,)
    held = [step, ClockStep(1, watermark=170_000, now=175_000)]
    assert evaluate([[first, second]], RULES, clock={0: held}).watermarks == (60_000,)
    over = [*held, ClockStep(1, now=190_000)]
    assert evaluate([[first, second]], RULES, clock={0: over}).watermarks == (98_000,)


def test_after_a_hole_nothing_closes_and_nothing_is_late_for_90_s_of_append_time() -> None:
    """Kafka is down from 30 to 630; one agent flushes at once, the other 20 s later: all of it counts."""
    before = [record(n, n * 15, "heartbeat_success", f"c-{n % 2}") for n in range(3)]
    flushed = [record(3 + n, 60 + 30 * n, "heartbeat_success", "c-0", append=630 + n / 100) for n in range(20)]
    later = [record(23 + n, 60 + 30 * n, "heartbeat_success", "c-1", append=650 + n / 100) for n in range(20)]
    result = evaluate([[*before, *flushed, *later]], RULES)
    assert set(result.verdicts[0]) == {Verdict.SCORED}
    assert result.watermarks == (28_000,)
    end = record(43, 719.999, "heartbeat_success", "c-0")
    ended = record(43, 720, "heartbeat_success", "c-0")
    assert evaluate([[*before, *flushed, *later, end]], RULES).watermarks == (28_000,)
    released = evaluate([[*before, *flushed, *later, ended]], RULES)
    assert released.watermarks == (718_000,)
    assert {score.pain for score in released.scores.values()} == {0}


def test_arrival_order_changes_no_score() -> None:
    story = [*established(), *beats(30, 90), said(95, "connection_lost"), said(97, "reconnection_success")]
    log = log_of(story)
    shuffled = [replace(log[n], offset=place) for place, n in enumerate((0, 1, 2, 4, 3))]
    step = [ClockStep(9, watermark=120_000)]
    assert evaluate([shuffled], RULES, clock={0: step}).scores == evaluate([log], RULES, clock={0: step}).scores


def test_any_spread_of_connections_over_partitions_gives_the_same_levels() -> None:
    links = [f"c-{n}" for n in range(4)]
    stories = [[*established(n, link), said(20 + n, "connection_lost", link)] for n, link in enumerate(links)]

    def levels(spread: list[list[int]]) -> dict[str, tuple[float, ...]]:
        logs = [log_of([one for n in part for one in stories[n]], number) for number, part in enumerate(spread)]
        clock = {number: [ClockStep(99, watermark=30_000)] for number in range(len(spread))}
        scores = evaluate(logs, RULES, clock=clock).scores
        return {
            s.subject: (*map(float, (s.pain, s.chaos, s.trust)), *s.omega, *s.counts)
            for s in scores.values()
            if s.children
        }

    whole = levels([[0, 1, 2, 3]])
    assert set(whole) == {"seam:network_infrastructure", "ecosystem:iskra"}
    assert levels([[0, 2], [], [3, 1]]) == whole


def test_seams_beyond_64_are_other() -> None:
    """Ten seams have a place of their own; of 60 more, the first 54 that come find one."""
    story = [said(n / 10, "connection_failed", f"c-{n:02d}", seam_id=f"own_{n:02d}") for n in range(60)]
    result = told(story, until=30)
    seams = {subject for subject, _ in result.scores if subject.startswith("seam:")}
    assert seams == {f"seam:own_{n:02d}" for n in range(54)} | {"seam:other"}
    assert score_at(result, 30, "seam:other").children == 6


def test_an_experiment_has_a_key_space_of_its_own_on_every_level() -> None:
    result = told(established(), [said(1, "connection_failed", experiment_id="drill")], until=30)
    assert {subject for subject, _ in result.scores} == {
        "connection:c-1",
        "connection:c-1@drill",
        "ecosystem:iskra",
        "ecosystem:iskra@drill",
        "seam:network_infrastructure",
        "seam:network_infrastructure@drill",
    }
    assert score_at(result, 30, "ecosystem:iskra").pain == 0
