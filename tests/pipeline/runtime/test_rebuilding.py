"""Up to where outputs count as written when a state is rebuilt."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pipeline.runtime.account import Account
from pipeline.runtime.checkpoint import Destination
from pipeline.runtime.contract import Stage, StateRecord
from pipeline.runtime.meta import encode_meta
from pipeline.runtime.opening import Standing, StartRefusedError, go_on_at, restored
from pipeline.runtime.options import KafkaOptions
from pipeline.runtime.rebuilding import RebuildRefusedError, Until, rebuild_to

from .test_partition import Scripted


class Refusing(Scripted):
    """Cannot read any state."""

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        if list(snapshot):
            message = "a text that might quote the state"
            raise KeyError(message)


STAGE = Stage("noting", "in.v1", "state.v1", (), lambda _: Scripted())
TO = Destination(KafkaOptions(topic_prefix="p"), "p-noting", STAGE, 0, {"in.v1": 1, "state.v1": 1})


def meta(position: int, stage: str = "noting") -> bytes:
    books = Account(0, position, {"done": position})
    return encode_meta(books, stage=stage, topic="in.v1", partition=0, partitions=1).value or b""


def standing(*metas: bytes, committed: int = -1, first: int = 0, end: int = 100) -> Standing:
    live = {b"!meta": metas[-1]} if metas else {}
    return Standing(live, [(n, value) for n, value in enumerate(metas)], first, end, committed)


@pytest.mark.parametrize(
    ("found", "until", "position"),
    [
        (standing(meta(40), committed=40), None, 40),
        (standing(meta(40)), None, 40),  # the group was deleted
        (standing(committed=40), None, 40),  # the state was
        (standing(meta(40), b"damaged", committed=40), None, 40),
        (standing(meta(40), b"damaged"), None, 40),  # the newest that can be read
        (standing(meta(30), committed=40), None, 40),  # an old copy of the state
        (standing(meta(70, stage="another"), committed=40), None, 40),
        (standing(committed=0), None, 0),
        (standing(first=5), None, 5),  # nothing was ever written
        (standing(committed=40, first=60), None, 60),  # retention took all that was written
        (standing(committed=40), 7, 7),
        (standing(committed=40, first=5), "start", 5),
        (standing(committed=40), "end", 100),
        (standing(), "end", 100),
    ],
)  # fmt: skip
def test_the_position_is_what_the_state_or_the_group_vouches_for_unless_it_is_named(
    found: Standing, until: Until, position: int
):
    assert rebuild_to(found, TO, until) == position


@pytest.mark.parametrize(
    ("found", "until", "reason"),
    [
        (standing(b"damaged"), None, "neither the state nor the group says how far outputs were written"),
        (standing(meta(101)), None, "ends at offset 100, but outputs were written up to 101. If the topic was made anew: --until start."),
        (standing(committed=40, first=5), 4, "holds offsets 5 to 100, not 4"),
        (standing(committed=40), 101, "holds offsets 0 to 100, not 101"),
    ],
)  # fmt: skip
def test_what_nothing_says_a_person_must(found: Standing, until: Until, reason: str):
    with pytest.raises(RebuildRefusedError) as caught:
        rebuild_to(found, TO, until)
    assert reason in str(caught.value)
    assert "partition 0 of p.in.v1" in str(caught.value)


def test_a_state_behind_the_group_is_refused():
    with pytest.raises(StartRefusedError, match="goes on at offset 30, behind offset 40 that the group p-noting has"):
        go_on_at(standing(meta(30), committed=40), TO)
    assert go_on_at(standing(meta(40), committed=40), TO) == Account(0, 40, {"done": 40})
    assert go_on_at(standing(meta(40), committed=7), TO).position == 40


def test_a_state_that_the_processor_cannot_take_is_refused_without_quoting_it():
    to = Destination(KafkaOptions(), "g", Stage("noting", "in.v1", "state.v1", (), lambda _: Refusing()), 0, {})
    found = Standing({b"k": b"secret"}, (), 0, 0)
    with pytest.raises(StartRefusedError) as caught:
        restored(found, to)
    assert "cannot be read: KeyError in tests.pipeline.runtime.test_rebuilding:" in str(caught.value)
    assert "iskra state rebuild noting --partition 0" in str(caught.value)
    assert "quote" not in str(caught.value)
