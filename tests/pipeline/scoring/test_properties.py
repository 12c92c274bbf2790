"""The properties of semantics.md 6, on random stories through the whole scorer."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.contract import LogRecord, Output, StateRecord
from pipeline.scoring.rules import ScoreRules

from .scenes import ALL, Fact, Scene, Told, fact, make_scorer, record_of

DELTAS = (
    "connection_established",
    "reconnection_success",
    "heartbeat_success",
    "message_processed",
    "connection_lost",
    "connection_failed",
    "heartbeat_timeout",
    "rate_limited",
    "protocol_violation",
    "fallback_activated",
    "nobody_knows_this",
    "agent_silent",
)
GOOD = ("connection_established", "session_resumed", "connection_stable", "degraded_service_left")
BAD = ("connection_lost", "connection_failed", "auth_failed", "heartbeat_timeout", "buffer_overflow")
UNTIL = 300
COMPLETE = {"dimension": 2, "omega": 0.8, "lambda": "look_here"}

seconds = st.integers(0, (UNTIL - 10) * 1_000).map(lambda millis: millis / 1_000)
omegas = st.sampled_from([0.1, 0.5, 0.8, 1.0])


@st.composite
def events(draw: st.DrawFn, deltas: Sequence[str] = DELTAS) -> Fact:
    fields = {**COMPLETE, "omega": draw(omegas), "dimension": draw(st.integers(1, 10))}
    claims = draw(st.dictionaries(st.sampled_from(["voice_pain", "voice_chaos", "voice_trust"]), st.floats(0, 1)))
    if claims:
        fields["fractal_metadata"] = claims
    delta = draw(st.sampled_from(deltas))
    if delta.startswith("heartbeat_success"):
        fields["data"] = {"latency_ms": draw(st.sampled_from([50, 300, 700, 2_000]))}
    return fact(draw(seconds), delta, **fields)


stories = st.lists(events(), max_size=25)
real_stories = st.lists(events([delta for delta in DELTAS if delta != "agent_silent"]), max_size=25)
"""Whether an agent_silent of others counts depends on who is known when it arrives."""
ALIVE = [fact(second, "message_processed") for second in range(0, UNTIL, 30)]
"""Something in each pane, so that silence does not come into it."""


def played(facts: Sequence[Fact]) -> Told:
    return Scene().play([*ALIVE, *facts], until=UNTIL)


def triads(told: Told) -> dict[float, tuple[float, float, float]]:
    return {second: told.triad(second) for second in told.last()}


@given(stories)
def test_scores_and_certainties_lie_between_0_and_1(story):
    scores = list(played(story).last().values())
    assert len(scores) == UNTIL // 30
    for score in scores:
        numbers = (score.pain, score.chaos, score.trust, score.omega.pain, score.omega.chaos, score.omega.trust)
        assert all(0 <= number <= 1 for number in numbers)


@given(stories, events())
def test_one_event_more_never_lowers_pain_or_chaos(story, more):
    before, after = triads(played(story)), triads(played([*story, more]))
    for second, (pain, chaos, _) in before.items():
        assert after[second][0] >= pain
        assert after[second][1] >= chaos


def plain(second: float, delta: str) -> Fact:
    return fact(second, delta, **COMPLETE)


@given(stories, seconds, st.sampled_from(GOOD))
def test_a_success_never_lowers_trust(story, second, delta):
    before, after = triads(played(story)), triads(played([*story, plain(second, delta)]))
    assert all(after[end][2] >= trust for end, (_, _, trust) in before.items())


@given(stories, seconds, st.sampled_from(BAD))
def test_a_failure_never_raises_trust(story, second, delta):
    before, after = triads(played(story)), triads(played([*story, plain(second, delta)]))
    assert all(after[end][2] <= trust for end, (_, _, trust) in before.items())


def log_of(story: Sequence[Fact], delays: Sequence[float]) -> list[LogRecord]:
    """A log in which each event reaches the broker so much later. Ids are the event's own, whatever its offset."""
    named = [(second, delta, {**fields, "event_id": f"e-{n}"}) for n, (second, delta, fields) in enumerate(story)]
    arrivals = sorted(range(len(named)), key=lambda n: (named[n][0] + delays[n % len(delays)], n))
    return [
        record_of(named[n], offset, append=named[n][0] + delays[n % len(delays)]) for offset, n in enumerate(arrivals)
    ]


def facts_told(told: Told) -> dict[float, tuple[object, ...]]:
    """All of the last word but what names offsets."""
    return {
        second: (s.pain, s.chaos, s.trust, s.omega, s.dimension, s.counts, s.link_state, s.entropy)
        for second, s in told.last().items()
    }


@given(real_stories, st.lists(st.floats(0, 9.9), min_size=1, max_size=7))
def test_arrival_order_within_the_grace_period_changes_no_score(story, delays):
    orderly, muddled = Scene(), Scene()
    orderly.feed(log_of([*ALIVE, *story], [0.0]))
    muddled.feed(log_of([*ALIVE, *story], delays))
    orderly.close(UNTIL + 30)
    muddled.close(UNTIL + 30)
    assert facts_told(muddled.told) == facts_told(orderly.told)


@given(real_stories, st.lists(st.floats(0, 1.9), min_size=1, max_size=7))
def test_below_the_watermarks_two_seconds_arrival_order_changes_no_voice(story, delays):
    orderly, muddled = Scene(), Scene()
    orderly.feed(log_of([*ALIVE, *story], [0.0]))
    muddled.feed(log_of([*ALIVE, *story], delays))
    orderly.close(UNTIL + 30)
    muddled.close(UNTIL + 30)
    assert muddled.told.speaker(UNTIL) is orderly.told.speaker(UNTIL)
    assert [s for s in muddled.told.said() if s[1] != "raised"] == [s for s in orderly.told.said() if s[1] != "raised"]


@given(stories, st.integers(0, 2**32))
def test_repeated_events_change_nothing(story, seed):
    once = log_of([*ALIVE, *story], [0.0])
    rng = random.Random(seed)
    log = list(once)
    for record in rng.choices(once, k=10):
        at = rng.randrange(log.index(record) + 1, len(log) + 1)
        log.insert(at, record._replace(timestamp=log[at - 1].timestamp))
    log = [record._replace(offset=offset) for offset, record in enumerate(log)]
    first, again = Scene(), Scene()
    first.feed(once)
    again.feed(log)
    first.close(UNTIL)
    again.close(UNTIL)
    assert facts_told(again.told) == facts_told(first.told)
    assert again.told.counts == {**first.told.counts, "duplicate": 10}


# ----------------------------------------------------------------------------- batches, checkpoints, restarts


@st.composite
def weathers(draw: st.DrawFn) -> list[LogRecord]:
    """A log of a few links with out-of-order, repeated, late, bad and experimental events, holes included."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    records, now = [], 0.0
    for offset in range(draw(st.integers(1, 60))):
        now += rng.choice([0.02, 0.5, 3.0, 10.0, 20.0, 40.0, 130.0])
        fields = {**COMPLETE, "omega": rng.choice([0.2, 0.8, 1.0])}
        if rng.random() < 0.3:
            fields["event_id"] = f"e-{rng.randrange(20)}"
        if rng.random() < 0.15:
            fields["experiment_id"] = "drill"
        if rng.random() < 0.2:
            fields["fractal_metadata"] = {"voice_pain": rng.random(), "seam_id": f"seam_{rng.randrange(3)}"}
        delta = rng.choice([*DELTAS, "connection_closed"])
        second = max(0.0, now - rng.choice([0, 0, 0, 1, 5, 12, 45, 200]))
        record = record_of(fact(second, delta, **fields), offset, link=f"c-{rng.randrange(4)}", append=now)
        if rng.random() < 0.03:
            record = record._replace(value=rng.choice([None, b"", b"{"]))
        records.append(record)
    return records


def run(
    log: Sequence[LogRecord], cuts: set[int], restarts: set[int], rules: ScoreRules
) -> tuple[list[Output], list[tuple[bytes, object]]]:
    """Outputs, and the state at the end, of a log cut into batches, with ticks at fixed offsets, and with restarts."""
    scorer, outputs = make_scorer(rules), []
    store: dict[bytes, bytes] = {}
    batch: list[LogRecord] = []

    def flush() -> None:
        if batch:
            outputs.extend(scorer.apply(batch, batch[-1].timestamp).outputs)
            batch.clear()

    def checkpoint() -> None:
        for key, value in scorer.snapshot():
            if value is None:
                store.pop(key, None)
            else:
                store[key] = value

    for record in log:
        batch.append(record)
        if record.offset in cuts or record.offset % 17 == 0:
            flush()
        if record.offset % 17 == 0:
            outputs.extend(scorer.tick(record.timestamp, at_end=True).outputs)
        if record.offset in restarts:
            flush()
            checkpoint()
            scorer = make_scorer(rules)
            scorer.restore([StateRecord(key, value) for key, value in sorted(store.items(), reverse=True)])
            assert list(scorer.snapshot()) == []
    flush()
    for later in (0, 60_000):  # the clock counts from a worker's first step on
        outputs.extend(scorer.tick(log[-1].timestamp + later, at_end=True).outputs)
    checkpoint()
    return outputs, sorted((key, comparable(key, value)) for key, value in store.items() if not key.startswith(b"i:"))


def comparable(key: bytes, value: bytes) -> object:
    """A state record without the clock, which alone is no reason to write it."""
    decoded = msgspec.msgpack.decode(value)
    if key == b"core":
        decoded[2] = decoded[2][:-1]
    return decoded


offsets = st.sets(st.integers(0, 60), max_size=8)


@given(weathers(), offsets, offsets, st.sampled_from([ALL, ScoreRules(), ScoreRules(emit="voices")]))
def test_any_cut_into_batches_and_any_restart_give_the_same_outputs_and_state(log, cuts, restarts, rules):
    expected = run(log, {record.offset for record in log}, set(), rules)
    assert run(log, cuts, restarts, rules) == expected


@given(weathers())
def test_every_record_has_one_outcome_and_every_id_is_said_once(log):
    scene = Scene()
    scene.feed(log)
    assert sum(scene.told.counts.values()) == len(log)
    ids = [one.id for kind in (scene.told.scores, scene.told.voices, scene.told.partials) for one in kind]
    assert len(ids) == len(set(ids))


@given(weathers())
def test_revisions_of_a_record_count_up(log):
    scene = Scene()
    scene.feed(log)
    seen: dict[tuple[str, int], int] = {}
    for score in scene.told.scores:
        key = (score.subject, score.window_end)
        assert score.revision == seen.get(key, -1) + 1
        seen[key] = score.revision
