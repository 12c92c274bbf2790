"""The weather is the same for the same seed."""

from __future__ import annotations

from iskra.demo.weather import BLIP_LINKS, CUT_LINKS, LINKS, Fault, forecast


def test_the_same_seed_gives_the_same_weather_and_another_seed_cuts_other_links() -> None:
    assert forecast(7) == forecast(7)
    assert forecast(7)[0].links != forecast(8)[0].links


def test_thirty_six_links_are_cut_for_four_seconds_and_three_others_blip_three_times() -> None:
    changes = forecast(7)
    assert [(change.at_s, change.fault, len(change.links)) for change in changes] == [
        (15.0, Fault.CUT, CUT_LINKS),
        (19.0, Fault.HEAL, CUT_LINKS),
        (50.5, Fault.BLIP, 1),
        (52.0, Fault.BLIP, 1),
        (53.5, Fault.BLIP, 1),
        (55.0, Fault.BLIP, 1),
        (56.5, Fault.BLIP, 1),
        (58.0, Fault.BLIP, 1),
        (59.5, Fault.BLIP, 1),
        (61.0, Fault.BLIP, 1),
        (62.0, Fault.SLOW, LINKS),
        (62.5, Fault.BLIP, 1),
    ]
    blipped = {link for change in changes if change.fault is Fault.BLIP for link in change.links}
    assert len(blipped) == BLIP_LINKS
    assert not blipped & set(changes[0].links)
