"""The catalogue of metrics holds together."""

from __future__ import annotations

import re

import pytest

from schemas.metrics import ALL, Metric, by_name

NEVER_LABELS = {"connection_id", "event_id", "url", "id", "subject", "key"}


def test_names_are_unique_and_found_again():
    assert [by_name(metric.name) for metric in ALL] == list(ALL)
    with pytest.raises(KeyError):
        by_name("gossip_total")


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_its_kind_and_labelled_from_closed_sets(metric: Metric):
    assert re.fullmatch(r"iskra_[a-z][a-z_]*", metric.full_name)
    assert (metric.kind == "counter") is metric.name.endswith("_total")
    assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert metric.help.endswith(".")
    assert not NEVER_LABELS & set(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
