"""What the children of a seam add up to, kept while one after the other is revised."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from pipeline.scoring.panes import Grain
from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.scores import Causes
from pipeline.scoring.shares import child_of, share_of
from pipeline.scoring.sums import Part, Place, SeamPane
from pipeline.scoring.triad import Scores

RULES = ScoreRules()
PLACE = Place("edge", None, 0, links=False, rules=RULES, decay=RULES.decay, power=RULES.power)
NAMES = ("a", "b", "c", "d", "e", "f", "g")
UNIT = st.sampled_from([0.0, 1e-9, 0.1, 0.29, 0.3, 0.5, 0.71, 0.8, 1.0]) | st.floats(0.0, 1.0)
TIME = st.none() | st.integers(1_000, 1_004)
GRAIN = st.builds(
    Grain,
    st.sampled_from([0.1, 0.2, 0.3, 0.9]),
    st.integers(1, 3),
    st.sampled_from(["", "x", "y"]),
    st.integers(0, 2),
    st.just(0.5),
    st.integers(1, 10),
    st.just("connection_lost"),
)
COUNTS = st.tuples(*[st.integers(0, 3)] * 4)


@st.composite
def parts(draw, name: str) -> Part | None:
    """What a connection may add: nothing, a count, or a child with scores and causes."""
    kind = draw(st.sampled_from(["nothing", "gone", "child", "child", "child"]))
    if kind == "nothing":
        return None
    gone = draw(st.tuples(*[st.integers(0, 2)] * 3))
    if kind == "gone":
        return Part(name, None, gone, (None,) * 4, draw(COUNTS), {}, None, harms=False)
    child = child_of(Scores(*draw(st.tuples(*[UNIT] * 6))), RULES)
    grains = tuple(sorted(draw(st.lists(GRAIN, max_size=5)), reverse=True))
    causes = Causes(grains, (1.0,) * len(grains), draw(UNIT), draw(UNIT)) if grains else None
    deltas = draw(st.dictionaries(st.sampled_from(["up", "down"]), st.integers(1, 3)))
    last = draw(st.tuples(TIME, TIME, TIME, TIME))
    return Part(name, child, gone, last, draw(COUNTS), deltas, causes, harms=draw(st.booleans()))


REVISION = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), parts(name)))


def summed(found: Mapping[str, Part | None]) -> SeamPane:
    """All parts, added up from nothing."""
    sums = SeamPane()
    for part in found.values():
        if part is not None:
            sums.take(part, PLACE)
    return sums


def told(sums: SeamPane) -> object:
    """The share as it goes on the wire."""
    return share_of(PLACE, sums, 7, 0)


@given(st.lists(REVISION, min_size=1, max_size=30))
def test_a_share_that_was_revised_is_that_of_its_children_as_they_are_now(revisions):
    found: dict[str, Part | None] = {}
    sums = SeamPane()
    for name, part in revisions:
        sums.swap(found.get(name), part, PLACE)
        found[name] = part
        if sums.stale:  # an extreme left and nobody knows the next: the owner adds up all members again
            sums = summed(found)
        assert told(sums) == told(summed(found))


@given(st.lists(REVISION, min_size=1, max_size=12))
def test_a_share_survives_being_stored(revisions):
    sums = SeamPane()
    found: dict[str, Part | None] = {}
    for name, part in revisions:
        sums.swap(found.get(name), part, PLACE)
        found[name] = part
    stored = msgpack.encode(sums.dump())
    twin = SeamPane.load(msgpack.decode(stored))
    assert (msgpack.encode(twin.dump()), told(twin), twin.stale) == (stored, told(sums), sums.stale)


def test_only_a_lost_extreme_makes_a_share_stale():
    calm = child_of(Scores(0.0, 0.0, 0.8, 1.0, 1.0, 0.5), RULES)
    hurt = child_of(Scores(0.9, 0.2, 0.4, 1.0, 1.0, 0.5), RULES)
    old, new = (
        Part("a", one, (0, 0, 0), (5, None, None, None), (1, 1, 0, 0), {}, None, harms=False) for one in (hurt, calm)
    )
    other = Part("b", calm, (0, 0, 0), (4, None, None, None), (1, 1, 0, 0), {}, None, harms=False)
    found = {"a": old, "b": other}
    worse, better, gone = summed(found), summed(found), summed(found)
    worse.swap(other, old._replace(subject="b"), PLACE)
    better.swap(old, new, PLACE)
    gone.swap(other, None, PLACE)
    assert (worse.stale, better.stale, gone.stale) == (False, True, False)


def test_of_many_causes_sixteen_are_ranked_and_all_are_asked_again_when_fewer_are_left_than_are_told():
    hurt = child_of(Scores(0.9, 0.2, 0.4, 1.0, 1.0, 0.5), RULES)
    found = {}
    for number in range(7):  # 35 grains, those of the first child the heaviest
        grains = tuple(Grain(0.9 - number / 10, 5 - n, "", number, 0.5, 1, "connection_lost") for n in range(5))
        causes = Causes(grains, (0.2,) * 5, 1.0, 0.0)
        found[str(number)] = Part(str(number), hurt, (0, 0, 0), (None,) * 4, (0, 0, 0, 0), {}, causes, harms=True)
    sums = summed(found)
    stale = []
    for name in ("6", "0", "1", "2"):  # the lightest was not ranked; then the heaviest leave one by one
        sums.swap(found[name], found[name]._replace(causes=None), PLACE)
        stale.append((len(sums.harms.grains), sums.stale))
    assert stale == [(16, False), (11, False), (6, False), (1, True)]
