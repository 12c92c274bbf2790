"""The roll-up: what all sources say of a seam, merged, decided, told, and passed up."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from pipeline.runtime.contract import Output, Processor, StateRecord
from pipeline.scoring.rules import ScoreRules
from schemas.codec import encode
from schemas.types import Level
from schemas.wire import CountsWire, GoneWire, OmegasWire, OverWire, PartialWire, ScoreWire

from .shares import CONTRACT, NETWORK, PANE, RULES, Bench, Child, Said, links, progress, read, share

ECOSYSTEM = "ecosystem:iskra"
HURT = links(10, down=10)
WELL = links(10)


def over(score: ScoreWire) -> OverWire:
    """The children over each threshold."""
    assert score.children_over is not None
    return score.children_over


def is_processor(candidate: Processor) -> Processor:
    """Asks mypy, too."""
    return candidate


def test_a_rollup_is_a_processor():
    is_processor(Bench().rollup)


# ------------------------------------------------------------------------------------------------------------ scores


@pytest.mark.parametrize(("down", "pain"), [(5, 0.53), (10, 0.58), (50, 0.700), (60, 0.715), (100, 0.76), (500, 0.92)])
def test_a_share_of_a_thousand_links_down_gives_the_pain_of_the_design(down, pain):
    said = Bench().feed(share(links(1000, down=down), PANE), progress(PANE))
    assert said.on(NETWORK).scores[0].pain == pytest.approx(pain, abs=0.005 if pain != 0.700 else 0.0005)


def test_a_level_alarms_when_more_than_a_twentieth_of_its_children_hurt_fully():
    exactly = Bench().feed(share(links(1000, down=50), PANE), progress(PANE))
    more = Bench().feed(share(links(1000, down=51), PANE), progress(PANE))
    assert exactly.words() == []
    assert more.words() == [("raised", "Alarm", 1)]


def test_a_score_record_tells_everything_of_its_pane():
    children = [Child("connection:a", 0.9, 0.6, 0.2, 0.5), Child("connection:b")]
    said = Bench().feed(share(children, PANE), progress(PANE))
    p = RULES.power
    assert said.on(NETWORK).scores == (
        ScoreWire(
            id=said.scores[0].id,
            subject=NETWORK,
            level=Level.SEAM,
            window_start=0,
            window_end=PANE,
            revision=0,
            pain=round((0.9**p / 2) ** (1 / p), 6),
            chaos=round((0.6**p / 2) ** (1 / p), 6),
            trust=round(1 - ((0.8**p + 0.2**p) / 2) ** (1 / p), 6),
            omega=OmegasWire(0.5, 0.5, round((0.8**p * 0.5 + 0.2**p) / (0.8**p + 0.2**p), 6)),
            dimension=3,
            counts=CountsWire(2, 1, 1, 1),
            contributors=said.scores[0].contributors,
            entropy=0.918296,
            children=2,
            children_over=OverWire(1, 1, 1),
            worst_child="connection:a",
        ),
    )
    assert [(c.event_id, c.share) for c in said.scores[0].contributors] == [("connection:a", 1.0)]


def test_a_seam_without_children_by_evidence_has_no_record():
    said = Bench().feed(share([], PANE), progress(PANE))
    assert said.scores == ()
    assert said.shares == ()


def test_below_min_children_there_is_no_record_and_no_voice():
    bench = Bench(rules=replace(RULES, min_children=3))
    assert bench.feed(share(links(2, down=2), PANE), progress(PANE)).scores == ()
    assert len(bench.feed(share(links(3, down=3), 2 * PANE), progress(2 * PANE)).scores) == 1


def test_without_harm_the_contributors_are_anomalies_by_omega():
    quiet = share([Child("connection:a", 0.0, 0.3, 0.6)], PANE)
    anomalies = share([Child("connection:x", 1.0, 0.3, 0.6, 0.5), Child("connection:y", 0.9, 0.3, 0.6, 1.0)], PANE)
    muted = tuple(structs.replace(c, mass=0.0) for c in anomalies.contributors)
    only_anomalies = structs.replace(quiet, contributors=muted, anomaly_mass=2.0)
    score = Bench().feed(only_anomalies, progress(PANE)).scores[0]
    assert [(c.event_id, c.share) for c in score.contributors] == [("connection:y", 0.5), ("connection:x", 0.25)]


@given(
    pains=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_any_split_of_the_children_over_sources_gives_the_same_records(pains, cuts):
    children = [Child(f"connection:{i:02}", x, x / 2, 1 - x, 0.9) for i, x in enumerate(pains)]
    whole = Bench(scorers=1).feed(share(children, PANE), progress(PANE))
    bench = Bench(scorers=4)
    parts = [[c for c, cut in zip(children, cuts, strict=False) if cut == source] for source in range(4)]
    split = bench.feed(
        *(structs.replace(share(part, PANE, source=n), contributors=()) for n, part in enumerate(parts)),
        *(progress(PANE, source=n) for n in range(4)),
    )
    alone, together = whole.scores[0], split.scores[0]
    assert structs.replace(together, contributors=alone.contributors, dimension=alone.dimension) == alone
    assert [v.delta for v in split.voices] == [v.delta for v in whole.voices]


def test_contributors_of_all_sources_are_ranked_together():
    left = share([Child("connection:a", 0.9), Child("connection:c", 0.5)], PANE, source=0)
    right = share([Child("connection:b", 0.8), Child("connection:d", 0.1)], PANE, source=1)
    said = Bench(scorers=2).feed(left, right, progress(PANE, source=0), progress(PANE, source=1))
    total = 0.9 + 0.8 + 0.5 + 0.1
    assert [(c.event_id, c.share) for c in said.scores[0].contributors] == [
        ("connection:a", round(0.9 / total, 6)),
        ("connection:b", round(0.8 / total, 6)),
        ("connection:c", round(0.5 / total, 6)),
        ("connection:d", round(0.1 / total, 6)),
    ]


# ----------------------------------------------------------------------------------------- the population "links"


def test_one_violation_on_one_of_10001_links_is_no_alarm_of_the_seam():
    violation = share([Child("connection:c-1", 0.749, 0.2, 0.3)], PANE, parent=CONTRACT)
    said = Bench().feed(violation, progress(PANE, live={"": 10_001})).on(CONTRACT)
    assert said.words() == []
    assert (said.scores[0].children, said.scores[0].worst_child) == (10_001, "connection:c-1")
    assert said.scores[0].pain == pytest.approx(0.749 * (1 / 10_001) ** (1 / RULES.power), abs=1e-6)


def test_on_a_touching_seam_only_those_with_evidence_count():
    said = Bench().feed(share(WELL, PANE), progress(PANE, live={"": 500}))
    assert said.on(NETWORK).scores[0].children == 10


def test_the_living_links_of_all_sources_are_children():
    bench = Bench(scorers=2)
    bench.feed(share([Child("connection:c-1", 0.9)], PANE, parent=CONTRACT), progress(PANE, live={"": 30, "drill": 9}))
    said = bench.feed(progress(PANE, source=1, live={"": 70}))
    assert said.on(CONTRACT).scores[0].children == 100


def test_a_seam_of_links_that_nobody_touched_has_no_record():
    assert Bench().feed(progress(PANE, live={"": 30})).scores == ()


def test_links_counted_anew_revise_the_record():
    bench = Bench()
    bench.feed(share([Child("connection:c-1", 0.9)], PANE, parent=CONTRACT), progress(PANE, live={"": 30}))
    said = bench.feed(progress(PANE, live={"": 31})).on(CONTRACT)
    assert [(s.revision, s.children) for s in said.scores] == [(1, 31)]


# ------------------------------------------------------------------------------------------------------------ final


def test_a_pane_is_final_when_every_source_has_passed_it():
    bench = Bench(scorers=2)
    assert bench.feed(share(WELL, PANE), progress(PANE)).scores == ()
    assert len(bench.feed(progress(PANE, source=1)).scores) == 1


def test_a_source_that_goes_ahead_makes_nothing_final():
    bench = Bench(scorers=2)
    ahead = [v for n in range(1, 6) for v in (share(WELL, n * PANE), progress(n * PANE))]
    assert bench.feed(*ahead).scores == ()
    assert [s.window_end for s in bench.feed(progress(3 * PANE, source=1)).scores] == [PANE, 2 * PANE, 3 * PANE]


#   pane      1        2        3
#   source 0  children children children
#   source 1  children  (nothing more)


def test_a_silent_source_counts_as_passed_and_keeps_its_last_children():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), share(links(5, down=5, prefix="d"), PANE, source=1))
    bench.feed(progress(PANE), progress(PANE, source=1))
    assert bench.feed(share(WELL, 2 * PANE), progress(2 * PANE)).scores == ()
    quiet = RULES.pane + 3 * RULES.idle_timeout
    assert bench.idle(0, quiet - 1_000).scores == ()
    (score,) = bench.tick(quiet).on(NETWORK).scores
    assert (score.window_end, score.children, over(score)) == (2 * PANE, 15, OverWire(5, 0, 5))
    assert score.counts == CountsWire(10, 10, 0, 0)


def test_a_source_silent_from_the_start_does_not_hold_the_level_up():
    bench = Bench(scorers=3)
    bench.feed(share(WELL, PANE), progress(PANE))
    assert [s.window_end for s in bench.idle(0, 60_000).on(NETWORK).scores] == [PANE]


def test_silence_is_judged_only_at_the_end_of_the_log():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE))
    assert bench.idle(0, 300_000, at_end=False).scores == ()
    assert bench.idle(301_000, 360_000).scores == ()
    assert len(bench.idle(361_000, 362_000).on(NETWORK).scores) == 1


def test_a_worker_that_was_away_starts_to_wait_anew():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE))
    bench.idle(0, 50_000)
    assert bench.tick(600_000).scores == ()
    assert bench.idle(601_000, 659_000).scores == ()
    assert len(bench.tick(660_000).on(NETWORK).scores) == 1


def test_nobody_is_silent_while_nobody_goes_ahead():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE), progress(PANE, source=1))
    bench.idle(0, 600_000)
    assert bench.feed(share(WELL, 2 * PANE), progress(2 * PANE)).scores == ()


def test_a_source_that_speaks_again_revises_what_it_missed():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), share(links(5, prefix="d"), PANE, source=1))
    bench.feed(progress(PANE), progress(PANE, source=1))
    for n in (2, 3):
        bench.feed(share(WELL, n * PANE), progress(n * PANE))
        bench.idle(n * 100_000, n * 100_000 + 60_000)
    hurt = links(5, down=5, prefix="d")
    assert bench.feed(share(hurt, 2 * PANE, source=1)).scores == ()
    late = bench.feed(progress(2 * PANE, source=1)).on(NETWORK)
    assert [(s.window_end, s.revision, over(s).pain) for s in late.scores] == [(2 * PANE, 1, 5)]
    assert late.words() == []
    newest = bench.feed(share(hurt, 3 * PANE, source=1), progress(3 * PANE, source=1)).on(NETWORK)
    assert [(s.window_end, s.revision, over(s).pain) for s in newest.scores] == [(3 * PANE, 1, 5)]
    assert newest.words() == [("raised", "Alarm", 3)]


def test_children_that_a_silent_source_has_no_more_go_when_it_speaks_again():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), share(links(5, prefix="d"), PANE, source=1))
    bench.feed(progress(PANE), progress(PANE, source=1))
    bench.feed(share(WELL, 2 * PANE), progress(2 * PANE))
    bench.idle(0, 60_000)
    said = bench.feed(progress(2 * PANE, source=1)).on(NETWORK)
    assert [(s.revision, s.children) for s in said.scores] == [(1, 10)]


def test_a_held_source_counts_as_passed_while_others_go_on():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), share(links(5, prefix="d"), PANE, source=1))
    bench.feed(progress(PANE), progress(PANE, source=1))
    bench.feed(progress(PANE, source=1, held=True))
    said = bench.feed(share(WELL, 2 * PANE), progress(2 * PANE)).on(NETWORK)
    assert [(s.window_end, s.children) for s in said.scores] == [(2 * PANE, 15)]


def test_when_all_that_spoke_lately_are_held_nothing_closes():
    bench = Bench(scorers=3)  # the third has never spoken
    bench.feed(share(WELL, PANE), progress(PANE), progress(PANE, source=1))
    bench.idle(0, 100_000)
    bench.feed(progress(PANE, held=True), progress(PANE, source=1, held=True))
    assert bench.feed(share(WELL, 2 * PANE)).scores == ()
    released = bench.feed(progress(2 * PANE))
    assert [s.window_end for s in released.on(NETWORK).scores] == [2 * PANE]


def test_progress_goes_to_every_partition():
    bench = Bench(rollups=3, partition=1)
    bench.feed(share(WELL, PANE), progress(PANE))
    told = [o for o in bench.outputs if o.key == b"progress"]
    assert [o.partition for o in told] == [0, 1, 2]
    assert {(p.level, p.source, p.window_end) for p in read(told).progress} == {(Level.ECOSYSTEM, 1, PANE)}


def test_a_pane_without_deltas_has_no_entropy():
    bare = structs.replace(share(WELL, PANE), deltas={})
    assert Bench().feed(bare, progress(PANE)).scores[0].entropy == 0.0


def test_a_partition_without_seams_tells_its_progress_too():
    said = Bench(rollups=2).feed(progress(PANE))
    assert (said.scores, said.shares, len(said.progress)) == ((), (), 2)


# --------------------------------------------------------------------------------------------- revisions, repeats


def test_a_revision_replaces_the_record_and_counts():
    bench = Bench()
    bench.feed(share(WELL, PANE), progress(PANE))
    said = bench.feed(share(links(10, down=1), PANE, revision=1)).on(NETWORK)
    assert [(s.revision, over(s).pain) for s in said.scores] == [(1, 1)]


def test_a_revision_that_changes_no_number_is_not_told():
    bench = Bench()
    bench.feed(share(WELL, PANE), progress(PANE))
    assert bench.feed(share(WELL, PANE, revision=1)) == Said((), (), (), ())
    assert bench.feed(share(links(10, down=1), PANE, revision=2)).on(NETWORK).scores[0].revision == 1


def test_repeats_and_older_revisions_are_stale():
    bench = Bench()
    newest = share(links(10, down=1), PANE, revision=2)
    bench.feed(newest, progress(PANE))
    assert bench.feed(newest, share(WELL, PANE, revision=1), progress(PANE)) == Said((), (), (), ())
    assert bench.counts == {"merged": 2, "stale": 3}


def test_a_share_of_a_pane_that_nothing_can_revise_is_stale():
    bench = Bench()
    bench.feed(*(v for n in range(1, 40) for v in (share(WELL, n * PANE), progress(n * PANE))))
    assert bench.feed(share(HURT, 2 * PANE, revision=1)) == Said((), (), (), ())
    assert bench.counts["stale"] == 1


def test_a_revision_of_an_older_pane_changes_no_voice():
    bench = Bench()
    bench.feed(*(v for n in (1, 2) for v in (share(WELL, n * PANE), progress(n * PANE))))
    said = bench.feed(share(HURT, PANE, revision=1))
    assert [s.window_end for s in said.scores] == [PANE]
    assert said.words() == []


def test_a_revision_of_the_newest_pane_decides_its_voice_again():
    bench = Bench()
    bench.feed(share(WELL, PANE), progress(PANE))
    assert bench.feed(share(HURT, PANE, revision=1)).words() == [("raised", "Alarm", 1)]
    cleared = bench.feed(share(WELL, PANE, revision=2))
    assert [(v.delta, v.reason, v.revision) for v in cleared.voices] == [("voice_cleared", "revised", 2)]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"\xff",
        b"null",
        b"[" * 100_000,
        encode(structs.replace(share(WELL, PANE), source=1)),
        encode(structs.replace(share(WELL, PANE), source=-1)),
        encode(structs.replace(share(WELL, PANE), parent="connection:c-1")),
        encode(structs.replace(share(WELL, PANE), parent="seam:")),
        encode(structs.replace(share(WELL, PANE), parent="seam:a\x1fb")),
        encode(structs.replace(share(WELL, PANE), level=Level.CONNECTION)),
        encode(structs.replace(share(WELL, PANE), level=Level.ECOSYSTEM)),
        encode(structs.replace(share(WELL, PANE), window_end=PANE + 1)),
        encode(structs.replace(share(WELL, PANE), window_end=0, window_start=-PANE)),
        encode(structs.replace(share(WELL, PANE), weight=-1.0)),
        encode(structs.replace(share(WELL, PANE), children=-1)),
        encode(structs.replace(share(WELL, PANE), schema_version="2.0")),
        encode(share(WELL, PANE)).replace(b'"weight":10.0', b'"weight":1e400'),
        encode(share(WELL, PANE)).replace(b"connection:c-00000", b"\\ud800"),
        encode(structs.replace(progress(PANE), source=1)),
        encode(structs.replace(progress(PANE), window_end=1)),
        encode(structs.replace(progress(PANE), window_end=2**62 // PANE * PANE)),
        encode(structs.replace(progress(PANE), level=Level.PIPELINE)),
        encode(progress(PANE, live={"": -1})),
    ],
)
def test_what_cannot_be_read_or_added_up_is_rejected_and_changes_nothing(value):
    bench = Bench()
    assert bench.feed(value) == Said((), (), (), ())
    assert bench.counts == {"rejected": 1}
    assert list(bench.rollup.snapshot()) == []


def test_a_tombstone_is_counted():
    bench = Bench()
    bench.feed(None)
    assert bench.counts == {"tombstone": 1}


# ------------------------------------------------------------------------------------------------------------ voices


def walk(bench: Bench, *panes: PartialWire, live: int = 0) -> Said:
    """Feed one pane after the other."""
    before = len(bench.outputs)
    for partial in panes:
        bench.feed(partial, progress(partial.window_end, live={"": live}))
    return read(bench.outputs[before:])


def test_a_speaking_voice_is_held_each_pane():
    said = walk(Bench(), *(share(HURT, n * PANE) for n in (1, 2, 3))).on(NETWORK)
    # Distrust holds from the second pane on; the Alarm is louder.
    assert said.words() == [("raised", "Alarm", 1), ("held", "Alarm", 2), ("held", "Alarm", 3)]
    assert [v.also_held for v in said.voices] == [(), ("Concern",), ("Concern",)]


def test_a_level_s_alarm_clears_at_six_tenths():
    half = [Child("connection:a", 0.65)]
    low = [Child("connection:a", 0.6)]
    said = walk(Bench(), share([Child("connection:a", 0.9)], PANE), share(half, 2 * PANE), share(low, 3 * PANE))
    assert said.on(NETWORK).words() == [("raised", "Alarm", 1), ("held", "Alarm", 2), ("cleared", "Alarm", 3)]


@pytest.mark.parametrize(
    ("success", "reason"), [(3 * PANE - 10, "recovered"), (PANE - 2_000, "faded"), (None, "faded")]
)
def test_a_clear_says_why(success, reason):
    after = structs.replace(share(WELL, 2 * PANE, success=success), last_harm=PANE - 1_000)
    said = walk(Bench(), share(links(10, down=1), PANE), after).on(NETWORK)
    assert [(v.delta, v.reason) for v in said.voices] == [("voice_raised", None), ("voice_cleared", reason)]


def test_a_clear_because_most_of_those_that_hurt_were_forgotten_says_so_and_is_no_recovery():
    gone = {"pain": GoneWire(forgotten=6, recovered=4)}
    panes = [share(HURT, PANE), share(links(4), 2 * PANE, gone=gone, success=2 * PANE - 1)]
    panes += [share(links(4), n * PANE) for n in range(3, 40)]
    said = walk(Bench(), *panes).on(NETWORK)
    assert [(v.delta, v.reason) for v in said.voices] == [("voice_raised", None), ("voice_cleared", "forgotten")]


def test_a_revision_of_the_pane_of_a_forgotten_voice_brings_no_claim_back():
    gone = {"pain": GoneWire(forgotten=6, recovered=4)}
    bench = Bench()
    walk(bench, share(HURT, PANE), share(links(4), 2 * PANE, gone=gone))
    bench.feed(share(links(5), 2 * PANE, gone=gone, revision=1))
    assert walk(bench, *(share(links(4), n * PANE) for n in range(3, 40))).words() == []


def test_after_a_recovery_the_seam_celebrates_once_when_most_of_its_children_are_well():
    panes = [share(HURT, PANE)]
    panes += [share(links(20), n * PANE, success=n * PANE - 1) for n in range(2, 40)]
    said = walk(Bench(), *panes).on(NETWORK)
    # Cleared at 2, calm for 300 s at 12, twice in a row at 13.
    assert said.words() == [("raised", "Alarm", 1), ("cleared", "Alarm", 2), ("celebrated", "Celebration", 13)]


def test_less_than_nineteen_of_twenty_children_well_is_no_celebration():
    shaky = [*links(18), Child("connection:x", 0.0, 0.0, 0.6), Child("connection:y", 0.0, 0.0, 0.6)]
    panes = [share(HURT, PANE), *(share(shaky, n * PANE) for n in range(2, 40))]
    assert walk(Bench(), *panes).on(NETWORK).words() == [("raised", "Alarm", 1), ("cleared", "Alarm", 2)]


def test_links_without_evidence_are_well():
    shaky = [Child("connection:x", 0.0, 0.0, 0.6)]
    panes = [share([Child("connection:x", 0.9)], PANE, parent=CONTRACT)]
    panes += [share(shaky, n * PANE, parent=CONTRACT) for n in range(2, 14)]
    assert walk(Bench(), *panes, live=20).on(CONTRACT).words() == []
    panes[0] = share([Child(f"connection:{i}", 1.0) for i in range(10)], PANE, parent=CONTRACT)
    assert walk(Bench(), *panes, live=20).on(CONTRACT).words()[-1] == ("celebrated", "Celebration", 13)


def test_a_seam_that_loses_all_children_falls_silent():
    bench = Bench()
    walk(bench, share(HURT, PANE))
    said = bench.feed(progress(2 * PANE)).on(NETWORK)
    assert said.scores == ()
    (voice,) = said.voices
    assert (voice.delta, voice.reason, voice.children, voice.worst_child) == ("voice_cleared", "faded", 0, None)


def test_a_voice_record_carries_scores_thresholds_and_recent_panes():
    said = walk(Bench(), share(WELL, PANE), share(HURT, 2 * PANE)).on(NETWORK)
    (voice,) = said.voices
    assert [(m.window_end, m.pain, m.trust) for m in voice.recent] == [(PANE, 0.0, 0.8), (2 * PANE, 1.0, 0.2)]
    assert (voice.fractal_metadata.voice_pain, voice.fractal_metadata.seam_id) == (1.0, "network_infrastructure")
    assert (voice.thresholds.alarm_clear_pain, voice.lambda_, voice.dimension) == (0.6, "page_owner", 3)
    assert (voice.children, voice.children_over, voice.worst_child) == (10, OverWire(10, 0, 10), "connection:c-00000")


# ------------------------------------------------------------------------------------------------------------- early


def test_an_early_share_raises_the_alarm_before_the_pane_closes():
    bench = Bench()
    walk(bench, share(WELL, PANE))
    effects = bench.rollup.apply([bench.record(share(links(10, down=3), 2 * PANE, early=True))], 0)
    said = read(effects.outputs).on(NETWORK)
    assert said.words() == [("raised", "Alarm", 2)]
    assert said.scores == ()
    assert effects.urgent


def test_early_the_sources_not_heard_from_count_with_pain_0():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), share(links(200, prefix="d"), PANE, source=1))
    bench.feed(progress(PANE), progress(PANE, source=1))
    assert bench.feed(share(HURT, 2 * PANE, early=True)).words() == []  # 10 of 210: 4.8 %
    assert bench.feed(share(links(11, down=11), 2 * PANE, early=True, revision=1)).words() == [("raised", "Alarm", 2)]


def test_early_a_source_never_heard_from_has_no_children():
    assert Bench(scorers=2).feed(share(links(10, down=1), PANE, early=True)).words() == [("raised", "Alarm", 1)]


def test_early_shares_of_several_sources_add_up():
    bench = Bench(scorers=2)
    for source, prefix in enumerate("cd"):
        bench.feed(share(links(100, prefix=prefix), PANE, source=source), progress(PANE, source=source))
    assert bench.feed(share(links(100, down=6), 2 * PANE, early=True)).words() == []
    other = share(links(100, down=6, prefix="d"), 2 * PANE, source=1, early=True)
    assert bench.feed(other).words() == [("raised", "Alarm", 2)]


def test_an_early_alarm_stands_until_its_pane_closes_and_then_is_asked_whether_it_clears():
    bench = Bench()
    walk(bench, share(WELL, PANE))
    bench.feed(share(HURT, 2 * PANE, early=True))
    said = bench.feed(share(WELL, 2 * PANE), progress(2 * PANE)).on(NETWORK)
    assert [(v.delta, v.window_end, v.since) for v in said.voices] == [("voice_cleared", 2 * PANE, 2 * PANE)]


def test_an_early_alarm_is_raised_once():
    bench = Bench()
    walk(bench, share(WELL, PANE))
    bench.feed(share(links(10, down=5), 2 * PANE, early=True))
    assert bench.feed(share(HURT, 2 * PANE, early=True, revision=1)).on(NETWORK).words() == []
    assert bench.feed(share(HURT, 2 * PANE), progress(2 * PANE)).on(NETWORK).words() == [("held", "Alarm", 2)]


def test_an_early_share_of_a_pane_that_its_source_closed_is_stale():
    bench = Bench()
    walk(bench, share(WELL, PANE))
    assert bench.feed(share(HURT, PANE, early=True)) == Said((), (), (), ())
    assert bench.counts["stale"] == 1


def test_a_held_source_speaks_early_into_the_pane_that_is_open():
    bench = Bench(scorers=2)
    for source in (0, 1):
        bench.feed(share(WELL, PANE, source=source), progress(PANE, source=source))
    bench.feed(progress(PANE, source=1, held=True))
    walk(bench, share(WELL, 2 * PANE), share(WELL, 3 * PANE))
    assert bench.feed(share(HURT, 2 * PANE, source=1, early=True)).on(NETWORK).words() == [("raised", "Alarm", 4)]


def test_early_a_violation_is_weighed_against_all_links():
    bench = Bench()
    bench.feed(progress(PANE, live={"": 10_001}))
    assert bench.feed(share([Child("connection:a", 0.75)], 2 * PANE, parent=CONTRACT, early=True)).words() == []


def test_before_the_links_are_counted_nothing_is_certain():
    violation = share([Child("connection:a", 0.75)], PANE, parent=CONTRACT, early=True)
    assert Bench().feed(violation).words() == []
    assert Bench().feed(structs.replace(violation, live=1_000)).words() == []
    assert Bench().feed(structs.replace(violation, live=1)).words() == [("raised", "Alarm", 1)]


def test_an_early_share_behind_a_newer_one_or_said_twice_is_stale():
    bench = Bench()
    walk(bench, share(WELL, PANE))
    newest = share(HURT, 2 * PANE, early=True, revision=1)
    bench.feed(newest)
    assert bench.feed(newest, share(HURT, 2 * PANE, early=True)) == Said((), (), (), ())
    assert bench.counts["stale"] == 2


def test_before_anything_is_final_a_source_may_revise_itself():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE), share(links(10, down=1), PANE, revision=1))
    said = bench.feed(progress(PANE, source=1)).on(NETWORK)
    assert [(s.revision, over(s).pain) for s in said.scores] == [(0, 1)]


def test_early_a_closed_share_of_links_waits_for_their_number():
    bench = Bench(scorers=2)
    violation = [Child("connection:a", 0.75)]
    bench.feed(share(violation, PANE, parent=CONTRACT, early=True, live=1_000))
    assert bench.feed(share(violation, PANE, parent=CONTRACT), progress(PANE, live={"": 1_000})).words() == []
    # The other source's early share is reckoned with the closed one.
    assert bench.feed(share([], PANE, parent=CONTRACT, source=1, early=True, live=0)).words() == []


def test_early_a_closed_share_of_one_source_counts_for_another():
    bench = Bench(scorers=2)
    bench.feed(share(links(100, down=6), PANE), progress(PANE))
    both = share(links(100, down=6, prefix="d"), PANE, source=1, early=True)
    assert bench.feed(both).words() == [("raised", "Alarm", 1)]


def test_the_ecosystem_hears_early_of_a_seam_that_crosses_a_threshold():
    bench = Bench(loop=True)
    bench.feed(share(WELL, PANE), share(links(3), PANE, parent="seam:general_operation"), progress(PANE))
    said = bench.feed(share(HURT, 2 * PANE, early=True))
    (up,) = said.shares
    assert (up.parent, up.early, up.children, up.window_end) == (ECOSYSTEM, True, 2, 2 * PANE)
    assert said.on(ECOSYSTEM).words() == [("raised", "Alarm", 2)]
    # More of the same is not told again.
    assert bench.feed(share(HURT, 2 * PANE, early=True, revision=1)).shares == ()


# -------------------------------------------------------------------------------------------------- the ecosystem


def test_the_ecosystem_hears_early_of_nothing_that_hurts_little():
    bench = Bench(loop=True)
    walk(bench, share(links(100), PANE))
    assert bench.feed(share([*links(99), Child("connection:x", 0.6)], 2 * PANE, early=True)).shares == ()
    assert [p.early for p in bench.feed(share(links(100), 2 * PANE), progress(2 * PANE)).shares] == [False]


def test_the_ecosystem_is_the_power_mean_of_its_seams():
    other = "seam:general_operation"
    bench = Bench(loop=True)
    said = bench.feed(share(links(10, down=2), PANE), share(links(4), PANE, parent=other), progress(PANE))
    seam = said.on(NETWORK).scores[0]
    (whole,) = said.on(ECOSYSTEM).scores
    p = RULES.power
    assert whole.pain == pytest.approx(seam.pain * 0.5 ** (1 / p), abs=2e-6)
    assert (whole.children, whole.children_over, whole.worst_child) == (2, OverWire(1, 0, 0), NETWORK)
    assert (whole.dimension, whole.counts) == (4, CountsWire(14, 12, 2, 2))
    assert said.on(ECOSYSTEM).words() == [("raised", "Alarm", 1)]
    assert said.on(ECOSYSTEM).voices[0].fractal_metadata.seam_id == "ecosystem"


def test_a_seam_weighs_what_is_configured():
    rules = replace(RULES, seam_weights={"network_infrastructure": 3.0})
    said = Bench(loop=True, rules=rules).feed(
        share(links(1, down=1), PANE), share(links(1), PANE, parent="seam:general_operation"), progress(PANE)
    )
    assert said.on(ECOSYSTEM).scores[0].pain == pytest.approx(0.75 ** (1 / rules.power), abs=1e-6)


def test_seams_on_different_partitions_give_the_same_ecosystem():
    seams = {f"seam:s{i}": links(10, down=i) for i in range(6)}
    alone = Bench(loop=True).feed(*(share(c, PANE, parent=s) for s, c in seams.items()), progress(PANE))
    owner = Bench(rollups=3)
    for partition in range(3):
        bench = Bench(rollups=3, partition=partition)
        mine = [share(c, PANE, parent=s) for i, (s, c) in enumerate(seams.items()) if i % 3 == partition]
        said = bench.feed(*mine, progress(PANE))
        together = owner.feed(*said.shares, said.progress[0])
    assert together.on(ECOSYSTEM).scores == alone.on(ECOSYSTEM).scores
    assert together.on(ECOSYSTEM).voices == alone.on(ECOSYSTEM).voices


def test_a_revised_seam_revises_the_ecosystem():
    bench = Bench(loop=True)
    bench.feed(share(WELL, PANE), progress(PANE))
    said = bench.feed(share(HURT, PANE, revision=1))
    assert [(s.revision, s.pain) for s in said.on(ECOSYSTEM).scores] == [(1, 1.0)]
    assert [s.revision for s in said.shares] == [1]


def test_an_experiment_is_a_key_space_of_its_own_on_every_level():
    bench = Bench(loop=True)
    drill = share(HURT, PANE, parent=f"{NETWORK}@drill")
    said = bench.feed(share(WELL, PANE), drill, progress(PANE, live={"": 10, "drill": 10}))
    assert {s.subject: (s.pain, s.experiment_id) for s in said.scores} == {
        NETWORK: (0.0, None),
        f"{NETWORK}@drill": (1.0, "drill"),
        ECOSYSTEM: (0.0, None),
        f"{ECOSYSTEM}@drill": (1.0, "drill"),
    }
    assert {(v.subject, v.experiment_id) for v in said.voices} == {
        (f"{NETWORK}@drill", "drill"),
        (f"{ECOSYSTEM}@drill", "drill"),
    }
    assert {o.key for o in bench.outputs if o.topic == "partials.v1"} == {b"ecosystem", b"ecosystem@drill", b"progress"}


def test_the_ecosystem_s_voice_ends_forgotten_when_its_seam_s_children_were_forgotten():
    bench = Bench(loop=True)
    walk(bench, share(HURT, PANE))
    gone = {"pain": GoneWire(forgotten=10, recovered=0)}
    said = bench.feed(share([], 2 * PANE, gone=gone), progress(2 * PANE))
    assert [(v.subject, v.delta, v.reason) for v in said.voices] == [
        (NETWORK, "voice_cleared", "forgotten"),
        (ECOSYSTEM, "voice_cleared", "forgotten"),
    ]


# ------------------------------------------------------------------------------------- restarts, batches, memory


def weather() -> list[msgspec.Struct | bytes | None]:
    """Two sources over 30 panes: an outage, early shares, revisions, repeats, a source behind, and bytes of nobody."""
    log: list[msgspec.Struct | bytes | None] = []
    for n in range(1, 31):
        down = 8 if 8 <= n < 12 else 0
        if down:
            log.append(share(links(40, down=down), n * PANE, early=True))
        for source, prefix in enumerate("cd"):
            at = n if source == 0 else max(1, n - 2)
            log.append(share(links(40, down=down, prefix=prefix), at * PANE, source=source, success=at * PANE - 1))
            log.append(share([Child(f"connection:{prefix}-x", 0.8)], at * PANE, source=source, parent=CONTRACT))
            log.append(progress(at * PANE, source=source, live={"": 40 + n}))
        if n % 4 == 0:
            log.append(share(links(40, down=down + 1), n * PANE, revision=1))
            log.append(b"?")
    return log


WEATHER = weather()


def play(cuts: set[int], *, restarts: bool) -> tuple[list[Output], dict[str, int], dict[bytes, bytes]]:
    """Outputs, outcomes and state of the weather, cut into batches before these records."""
    bench = Bench(scorers=2)
    batch: list[msgspec.Struct | bytes | None] = []
    for index, value in enumerate([*WEATHER, None]):
        if index in cuts or index == len(WEATHER):
            bench.feed(*batch)
            batch = []
            if restarts:
                bench.restart()
        batch.append(value)
    bench.save()
    return bench.outputs, bench.counts, bench.state


WHOLE = play(set(), restarts=False)


@given(cuts=st.sets(st.integers(0, len(WEATHER)), max_size=12), restarts=st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_cut_into_batches_and_any_restart_give_the_same_outputs_and_state(cuts, restarts):
    assert play(cuts, restarts=restarts) == WHOLE


def test_the_weather_of_these_tests_has_voices_revisions_and_stale_records():
    said = read(WHOLE[0])
    assert {"raised", "held", "cleared", "celebrated"} <= {word for word, _, _ in said.on(NETWORK).words()}
    assert max(score.revision for score in said.scores) > 0
    assert {"merged", "stale", "rejected"} == set(WHOLE[1])


@given(order=st.permutations(range(4)))
@settings(max_examples=24, deadline=None)
def test_the_order_in_which_sources_arrive_does_not_change_the_last_word(order):
    streams = [
        [
            v
            for n in range(1, 9)
            for v in (
                share(links(5, down=(n + s) % 4, prefix=f"s{s}"), n * PANE, source=s),
                progress(n * PANE, source=s),
            )
        ]
        for s in range(4)
    ]
    bench, mixed = Bench(scorers=4), Bench(scorers=4)
    for turn in zip(*streams, strict=True):
        bench.feed(*turn)
    for s in order:
        mixed.feed(*streams[s])
    assert last_words(mixed) == last_words(bench)


def last_words(bench: Bench) -> dict[tuple[str, int], ScoreWire]:
    """The newest revision of each record, without ids and revisions."""
    return {(s.subject, s.window_end): structs.replace(s, id="", revision=0) for s in read(bench.outputs).scores}


def test_a_source_found_silent_stays_so_after_a_restart():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE))
    bench.idle(0, 60_000)
    bench.restart()
    assert [s.window_end for s in bench.feed(share(WELL, 2 * PANE), progress(2 * PANE)).scores] == [2 * PANE]


def test_the_snapshot_holds_only_what_changed():
    bench = Bench(scorers=2)
    bench.feed(share(WELL, PANE), progress(PANE))
    first = {key for key, _ in bench.rollup.snapshot()}
    assert len(first) == 3  # the format, the share, the source
    assert list(bench.rollup.snapshot()) == []
    bench.tick(0)
    assert list(bench.rollup.snapshot()) == []
    assert not any(key.startswith(b"!") for key in first)


def test_memory_does_not_grow_with_time():
    sizes = []
    bench = Bench(scorers=2)
    for n in range(1, 200):
        for source in (0, 1):
            bench.feed(share(links(3, down=n % 2), n * PANE, source=source), progress(n * PANE, source=source))
        bench.save()
        sizes.append(len(bench.state))
    assert max(sizes[100:]) == max(sizes[40:100])
    assert sizes[-1] < 100


def test_a_seam_of_which_nothing_is_heard_is_forgotten():
    bench = Bench()
    walk(bench, share(HURT, PANE))
    for n in range(2, 200):
        bench.feed(progress(n * PANE))
    bench.save()
    assert [key for key in bench.state if b"seam:" in key] == []


def test_a_long_silence_of_all_is_stepped_over():
    bench = Bench()
    walk(bench, share(HURT, PANE))
    said = bench.feed(progress(10**13 // PANE * PANE))
    assert said.on(NETWORK).words() == [("cleared", "Alarm", 2)]
    assert bench.feed(share(WELL, 10**13 // PANE * PANE + PANE), progress(10**13 // PANE * PANE + PANE)).scores


def test_a_deleted_state_record_is_nothing():
    bench = Bench()
    bench.rollup.restore([StateRecord(b"share\x1fseam:x\x1f30000\x1f0", None)])
    assert bench.feed(progress(PANE)).scores == ()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (b"levels", b"[2,30000,null,null]", "format 2"),
        (b"levels", b"[1,5000,null,null]", "panes of 5000 ms"),
        (b"levels", b"{}", "format"),
        (b"source\x1fseam\x1f7", b"[null,null,false,false,false,[]]", "source 7"),
        (b"share\x1fseam:x\x1f30000\x1f0", b"{}", "not a share"),
        (b"what\x1fseam:x", b"[]", "what"),
    ],
)
def test_a_state_that_is_not_ours_is_refused(key, value, told):
    with pytest.raises(ValueError, match=told):
        Bench().rollup.restore([StateRecord(key, value)])


def test_a_faster_clock_has_shorter_panes():
    rules = ScoreRules().scaled(6)
    pane = rules.pane
    bench = Bench(rules=rules)
    first = structs.replace(share(HURT, PANE), window_end=pane, window_start=0)
    assert [s.window_end for s in bench.feed(first, structs.replace(progress(PANE), window_end=pane)).scores] == [pane]


def test_ids_are_unique_over_the_weather():
    said = read(WHOLE[0])
    ids = [*(s.id for s in said.scores), *(v.id for v in said.voices), *(p.id for p in said.shares)]
    assert len(ids) == len(set(ids))


def test_every_panes_records_come_before_the_progress_that_announces_them():
    bench = Bench(scorers=1)
    walk(bench, *(share(HURT, n * PANE) for n in range(1, 5)))
    written: list[tuple[int, str]] = []
    for output in bench.outputs:
        said = read([output])
        written += [(score.window_end, "score") for score in said.scores]
        written += [(voice.window_end, "voice") for voice in said.voices]
        written += [(partial.window_end, "share") for partial in said.shares]
        written += [(told.window_end, "progress") for told in said.progress]
    assert [kind for end, kind in written if end == PANE] == ["score", "voice", "share", "progress"]
    assert [end for end, _ in written] == sorted(end for end, _ in written)
