"""The weather is the same for the same seed."""

from __future__ import annotations

from iskra.demo.weather import BLIP_LINKS, CUT_LINKS, LINKS, Fault, forecast


def test_the_same_seed_gives_the_same_weather_and_another_seed_cuts_other_links() -> None:
    assert forecast(7) == forecast(7)
    assert forecast(7)[0].links != forecast(8)[0].links


def test_thirty_six_links_are_cut_for_four_seconds_and_three_others_blip_three_times() -> None:
    changes = forecast(7)
    assert [(round(change.at_s, 1), change.fault, len(change.links)) for change in changes] == [
        (15.0, Fault.CUT, CUT_LINKS),
        (19.0, Fault.HEAL, CUT_LINKS),
        (57.0, Fault.BLIP, 1),
        (57.7, Fault.BLIP, 1),
        (58.4, Fault.BLIP, 1),
        (60.0, Fault.BLIP, 1),
        (60.7, Fault.BLIP, 1),
        (61.4, Fault.BLIP, 1),
        (63.0, Fault.BLIP, 1),
        (63.7, Fault.BLIP, 1),
        (64.4, Fault.BLIP, 1),
        (65.0, Fault.SLOW, LINKS),
    ]
    blipped = {link for change in changes if change.fault is Fault.BLIP for link in change.links}
    assert len(blipped) == BLIP_LINKS
    assert not blipped & set(changes[0].links)
