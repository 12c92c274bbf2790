from __future__ import annotations

from typing import Any

import pytest

from alerts.policy.alerts import Alert, alert_key, cleared, raised
from alerts.policy.inhibiting import alarmed_seams, is_muted, muted, muted_by
from alerts.policy.model import AlertRules
from tests.alerts.saying import facts

RULES = AlertRules()
SEAMS = {"a": "seam:a"}


def alert(voice: str, subject: str, **more: Any) -> Alert:
    return raised(None, facts("raise", voice, subject, **more), 0, 0, RULES)


def over(pain: int = 0, chaos: int = 0, distrust: int = 0) -> dict[str, int]:
    return {"pain": pain, "chaos": chaos, "distrust": distrust}


CASES = [
    ("a connection of the seam", alert("Alarm", "connection:c", seam="a"), "seam:a"),
    ("its Concern too", alert("Concern", "connection:c", seam="a"), "seam:a"),
    ("a connection of another seam", alert("Alarm", "connection:c", seam="b"), None),
    ("the seam itself", alert("Alarm", "seam:a"), None),
    ("another seam", alert("Alarm", "seam:b"), None),
    ("the pipeline", alert("Alarm", "pipeline:scorer-0"), None),
    ("the ecosystem, for this seam alone", alert("Alarm", "ecosystem:iskra", worst_child="seam:a", children_over=over(pain=1)), "seam:a"),
    ("the ecosystem, worst by name", alert("Alarm", "ecosystem:iskra", worst_child="a", children_over=over(pain=1)), "seam:a"),
    ("the ecosystem, no seam over any more", alert("Alarm", "ecosystem:iskra", worst_child="seam:a", children_over=over()), "seam:a"),
    ("the ecosystem, two seams over", alert("Alarm", "ecosystem:iskra", worst_child="seam:a", children_over=over(pain=2)), None),
    ("the ecosystem, another is worst", alert("Alarm", "ecosystem:iskra", worst_child="seam:b", children_over=over(pain=1)), None),
    ("the ecosystem, nobody knows", alert("Alarm", "ecosystem:iskra"), None),
    ("its Concern counts distrust", alert("Concern", "ecosystem:iskra", worst_child="seam:a", children_over=over(pain=2, distrust=1)), "seam:a"),
    ("its Curiosity counts chaos", alert("Curiosity", "ecosystem:iskra", worst_child="seam:a", children_over=over(chaos=2)), None),
]  # fmt: skip


@pytest.mark.parametrize(("one", "by"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_seams_alarm_mutes(one: Alert, by: str | None) -> None:
    assert muted_by(one, SEAMS) == by


def test_only_open_alarms_of_seams_mute() -> None:
    alarm = alert("Alarm", "seam:a")
    ended = cleared(alert("Alarm", "seam:b"), facts("clear", "Alarm", "seam:b"), 1, 0)
    others = [alert("Concern", "seam:c"), alert("Alarm", "ecosystem:iskra"), alert("Alarm", "connection:d")]
    assert alarmed_seams([alarm, ended, *others]) == {"a": "seam:a"}


def test_a_mute_ends_with_a_pause_so_that_its_own_clear_can_arrive() -> None:
    link, seam = alert("Alarm", "connection:c", seam="a"), alert("Alarm", "seam:a")
    key, seam_key = alert_key(link.voice, link.subject), alert_key(seam.voice, seam.subject)
    held = muted({key: link, seam_key: seam}, 5)
    assert (held[key].muted_by, held[seam_key]) == ("seam:a", seam)
    assert muted(held, 6)[key] is held[key]
    free = muted(held | {seam_key: cleared(seam, facts("clear", subject="seam:a"), 7, 0)}, 7)
    assert (free[key].muted_by, free[key].unmuted_at) == (None, 7)
    assert [is_muted(free[key], now, RULES) for now in (7, 10_006, 10_007)] == [True, True, False]
    assert is_muted(held[key], 10**9, RULES)
