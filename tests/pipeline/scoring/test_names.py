"""Names that senders choose, bounded."""

from __future__ import annotations

from pipeline.scoring.names import BoundedNames, SeamPlaces
from pipeline.scoring.rules import ScoreRules
from schemas.registry import builtin_registry


def test_the_registrys_and_configured_seams_always_have_a_place_and_the_rest_comes_first_come():
    rules = ScoreRules(max_seams=13, seam_weights={"billing_edge": 2.0})
    places = SeamPlaces(builtin_registry().seams, rules)
    told = [
        places.place(seam) for seam in ("first", "second", "third", "first", "billing_edge", "data_contract", "other")
    ]
    assert told == ["first", "second", "other", "first", "billing_edge", "data_contract", "other"]
    assert (places.taken, places.surplus) == (["first", "second"], 1)


def test_54_more_seams_find_a_place_by_default():
    places = SeamPlaces(builtin_registry().seams, ScoreRules())
    told = [places.place(f"seam_{number}") for number in range(60)]
    assert told.count("other") == 6


def test_a_set_of_names_stops_growing():
    names = BoundedNames(2)
    assert [names.name(name) for name in ("a", "b", "c", "a")] == ["a", "b", "unknown", "a"]
    assert names.surplus == 1
