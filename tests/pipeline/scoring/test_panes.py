"""Panes: the same in any order of arrival, an agent_silent that leaves no trace, lists that stay short."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.chaos import UNPROVED, LinkPath, chaos_of, entropy_of, walk_links
from pipeline.scoring.connection import silence_of
from pipeline.scoring.evidence import PICO, SILENT, Link, Weight
from pipeline.scoring.pain import counting_harms, pain_of, pain_omega
from pipeline.scoring.panes import Grain, Order, Pane, dump_pane, load_pane
from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.trust import certainty_of, failure_of, success_of, trust_of
from schemas.registry import DeltaRegistry, builtin_registry

RULES = ScoreRules()
SILENCE = silence_of(builtin_registry(), RULES)


def weight(
    kind: str = "connection_failed",
    *,
    harm: float = 0.0,
    anomaly: bool = False,
    link: Link | None = None,
    outcome: str = "N",
    beat: bool = False,
    real: bool = True,
    omega: float = 0.8,
) -> Weight:
    mass = round(omega * PICO)
    return Weight(
        kind=kind,
        harm=harm,
        success=mass if outcome == "S" else 0,
        failure=mass if outcome == "F" else 0,
        succeeded=outcome == "S",
        failed=outcome == "F",
        anomaly=anomaly,
        omega=mass,
        link=link,
        beat=beat,
        neutral=outcome == "N" and harm == 0.0 and not anomaly,
        real=real,
    )


Entry = tuple[Weight, Order, str]


def pane_of(*entries: Entry) -> Pane:
    pane = Pane(0)
    for one, order, seam in entries:
        pane.add(one, order, one.kind, one.omega / PICO, 1, seam, RULES)
    return pane


def fields(pane: Pane) -> object:
    """What the pane holds, as plain values."""
    return _plain(dump_pane(pane))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


FAILED = weight(harm=0.5, anomaly=True, link=Link.DOWN, outcome="F")
BEAT = weight("heartbeat_success", outcome="S", beat=True)
UP = weight("connection_established", link=Link.UP, outcome="S")


def test_any_order_of_arrival_gives_the_same_pane():
    entries = [(FAILED, (5, "a", 1), "x"), (BEAT, (7, "b", 2), "x"), (UP, (7, "c", 3), "x"), (FAILED, (9, "d", 4), "x")]
    panes = [pane_of(*order) for order in permutations(entries)]
    assert all(fields(pane) == fields(panes[0]) for pane in panes)
    assert (panes[0].events, panes[0].successes, panes[0].failures, panes[0].anomalies) == (4, 2, 2, 2)


def test_a_pane_survives_being_stored():
    pane = pane_of(
        (FAILED, (5, "a", 1), "x"), (BEAT, (7, "b", 2), "y"), (BEAT, (8, "b2", 5), "y"), (UP, (9, "c", 3), "x")
    )
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(dump_pane(pane)))
    assert fields(load_pane(stored)) == fields(pane)
    assert load_pane(stored).harms == pane.harms
    assert load_pane(stored).runs == pane.runs


def test_per_kind_the_three_largest_harms_count_and_of_heartbeats_one():
    harms = [weight(harm=harm, anomaly=True) for harm in (0.1, 0.4, 0.2, 0.3)]
    beats = [weight("heartbeat_success", harm=harm, beat=True) for harm in (0.1, 0.2)]
    pane = pane_of(*((one, (at, "", at), "x") for at, one in enumerate([*harms, *beats])))
    assert sorted(grain.weight for grain in counting_harms([pane], RULES)) == [0.2, 0.2, 0.3, 0.4]


def test_equal_harms_the_newest_first():
    pane = pane_of(*((FAILED, (at, "", at), "x") for at in range(6)))
    assert [grain.time for grain in counting_harms([pane], RULES)] == [5, 4, 3]


def test_a_withdrawn_silence_leaves_no_trace():
    before = pane_of((FAILED, (5, "a", 1), "x"))
    pane = pane_of((FAILED, (5, "a", 1), "x"))
    order = SILENCE.order(30_000)
    pane.fall_silent(SILENCE.weight, order, SILENCE.omega, SILENCE.dimension, RULES)
    assert pane.silent is True
    pane.speak_after_all(SILENCE.weight, order)
    assert fields(pane) == fields(before)


def test_a_withdrawn_silence_leaves_those_that_others_sent():
    theirs = weight(SILENT, harm=0.4, anomaly=True, link=Link.DOWN, outcome="F", real=False, omega=0.7)
    pane = pane_of(*((theirs, (at, "", at), "x") for at in range(3)))
    pane.fall_silent(SILENCE.weight, SILENCE.order(30_000), SILENCE.omega, SILENCE.dimension, RULES)
    pane.speak_after_all(SILENCE.weight, SILENCE.order(30_000))
    assert fields(pane) == fields(pane_of(*((theirs, (at, "", at), "x") for at in range(3))))


def test_a_withdrawn_silence_of_any_claims_leaves_no_trace():
    for claims in (weight(SILENT, outcome="S", real=False), weight(SILENT, harm=0.4, real=False), weight(SILENT)):
        before = pane_of((FAILED, (5, "a", 1), "x"))
        pane = pane_of((FAILED, (5, "a", 1), "x"))
        silent = claims._replace(real=False)
        pane.add(silent, (9, "s", 2), SILENT, 0.8, 1, "x", RULES)
        pane.remove_silence(silent, (9, "s", 2))
        assert fields(pane) == fields(before)


def test_a_registry_without_agent_silent_uses_the_built_in_numbers():
    assert silence_of(DeltaRegistry("0", {}, {}), RULES) == SILENCE


# ------------------------------------------------------------------------------------------------- link state


def walked(*entries: Entry, path: LinkPath = UNPROVED) -> LinkPath:
    return walk_links(pane_of(*entries), path)


DOWN = weight("connection_lost", link=Link.DOWN, anomaly=True, outcome="F")
CLOSE = weight("connection_closed", link=Link.CLOSED)
HEARSAY = weight(SILENT, link=Link.DOWN, anomaly=True, outcome="F", real=False)


def told(*steps: Weight) -> list[Entry]:
    return [(one, (at, "", at), "x") for at, one in enumerate(steps)]


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        ([UP], 0),
        ([DOWN], 0),
        ([UP, UP], 0),
        ([UP, DOWN], 1),
        ([UP, DOWN, UP], 2),
        ([UP, CLOSE, UP], 0),
        ([UP, CLOSE, DOWN], 1),
        ([CLOSE, UP], 0),
    ],
)
def test_changes_of_the_link_state(steps, changes):
    assert walked(*told(*steps)).changes == changes


def test_a_good_heartbeat_proves_up_only_after_an_agent_silent():
    assert walked(*told(UP, HEARSAY, BEAT)) == LinkPath(Link.UP, False, False, 2)
    assert walked(*told(UP, DOWN, BEAT)) == LinkPath(Link.DOWN, False, False, 1)
    assert walked(*told(UP, HEARSAY, DOWN, BEAT)) == LinkPath(Link.DOWN, False, False, 1)
    assert walked(*told(BEAT), path=LinkPath(Link.DOWN, True, False, 0)) == LinkPath(Link.UP, False, False, 1)
    assert walked(*told(BEAT, DOWN), path=LinkPath(Link.DOWN, True, False, 0)).changes == 2


def test_a_link_is_closed_while_its_last_proof_by_a_real_event_is_a_wanted_close():
    assert walked(*told(UP, CLOSE)).closed is True
    assert walked(*told(UP, CLOSE, HEARSAY)).closed is True
    assert walked(*told(UP, CLOSE, HEARSAY, BEAT)).closed is False
    assert walked(*told(CLOSE, UP)).closed is False


def test_an_empty_pane_changes_nothing():
    path = LinkPath(Link.UP, False, False, 3)
    assert walk_links(None, path) == LinkPath(Link.UP, False, False, 0)
    assert walk_links(Pane(1), LinkPath(Link.UP)) == LinkPath(Link.UP)


def test_a_flood_of_proofs_is_thinned_where_chaos_is_one_anyway():
    pane = pane_of(*told(*[UP, DOWN] * 2_000))
    assert len(pane.proofs or ()) <= 1_024
    assert round(chaos_of({}, walk_links(pane, UNPROVED).changes, RULES), 6) == 1.0


def test_a_flood_of_equal_proofs_keeps_the_changes():
    pane = pane_of(*told(*[UP] * 600, DOWN, *[DOWN] * 600))
    assert walk_links(pane, UNPROVED).changes == 1


# ------------------------------------------------------------------------------- whose seam an agent_silent is on


def test_the_seam_of_the_last_real_event_before_a_moment():
    pane = pane_of((UP, (10, "", 1), "a"), (UP, (20, "", 2), "b"), (UP, (30, "", 3), "b"), (UP, (40, "", 4), "a"))
    assert [pane.seam_before((time, "", 0)) for time in (5, 15, 25, 35, 45)] == [None, "a", "b", "b", "a"]
    assert pane_of((UP, (10, "", 1), "a")).seam_before((5, "", 0)) is None
    assert Pane(0).seam_before((5, "", 0)) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abc")), min_size=1, max_size=12))
def test_the_last_seam_is_the_same_in_any_order(said):
    entries = [(UP, (time, "", offset), seam) for offset, (time, seam) in enumerate(said)]
    last = max(entries, key=lambda entry: entry[1])
    for order in (entries, entries[::-1]):
        pane = pane_of(*order)
        assert (pane.real, pane.real_seam) == (last[1], last[2])
        runs = pane.runs or []
        assert runs == sorted(runs)
        assert all(run.first <= run.last for run in runs)


def test_runs_of_seams_stay_short():
    pane = pane_of(*((UP, (at, "", at), "ab"[at % 2]) for at in range(1_000)))
    assert len(pane.runs or ()) <= 128
    assert (pane.real, pane.real_seam) == ((999, "", 999), "b")


def test_of_one_kind_the_largest_harms_are_kept_whatever_comes_first():
    entries = [
        (weight(harm=harm, anomaly=True, outcome="F"), (at, "", at), "x")
        for at, harm in enumerate((0.5, 0.4, 0.3, 0.2))
    ]
    for order in permutations(entries):
        harms = pane_of(*order).harms
        assert harms is not None
        assert [[grain.weight for grain in grains] for grains in harms.values()] == [[0.5, 0.4, 0.3]]


# ------------------------------------------------------------------------------------------ the three formulas


def grain(harm: float, omega: float = 1.0) -> Grain:
    return Grain(harm, 0, "", 0, omega, 1, "x")


def test_pain_is_the_chance_that_at_least_one_harm_hurts():
    assert pain_of([]) == 0.0
    assert pain_of([grain(0.36), grain(0.36)]) == pytest.approx(0.5904)
    assert pain_omega([]) == 1.0
    assert pain_omega([grain(0.6, 0.9), grain(0.3, 0.6)]) == pytest.approx(0.8)


def test_chaos_counts_different_anomalies_softly_and_changes_hard():
    assert chaos_of({}, 0, RULES) == 0.0
    assert chaos_of({"a": round(0.8 * PICO)}, 0, RULES) == pytest.approx(0.081607, abs=1e-6)
    many = chaos_of({"a": 100 * round(PICO)}, 0, RULES)
    assert many < chaos_of({"a": round(PICO), "b": round(PICO), "c": round(PICO)}, 0, RULES)


def test_entropy_falls_when_one_delta_dominates():
    assert entropy_of({}) == 0.0
    assert entropy_of({"a": 5}) == 0.0
    assert entropy_of({"a": 1, "b": 1}) == 1.0
    assert entropy_of({"a": 9, "b": 1}) == 0.468996


def test_trust_begins_at_one_half_and_caps_one_panes_masses():
    assert (trust_of(0, 0, RULES), certainty_of(0, 0, RULES)) == (0.5, 0.0)
    assert trust_of(0.9, 0, RULES) == pytest.approx(0.591837, abs=1e-6)
    good, bad = (pane_of(*told(*[one] * 9)) for one in (BEAT, FAILED))
    assert (success_of(good, RULES), failure_of(bad, RULES)) == (1.0, 4.0)
    assert failure_of(pane_of(*told(FAILED)), RULES) == pytest.approx(1.6)
    assert 0.3 < trust_of(0, 2.0, RULES) < trust_of(1.0, 0, RULES) < 0.7
