from __future__ import annotations

from dataclasses import replace

import pytest

from alerts.policy.model import Timing
from alerts.policy.notifying import Gate, Reason, Told, Verdict, View, why_notify
from schemas.types import VoiceName

ALARM, CONCERN = VoiceName.ALARM, VoiceName.CONCERN
TIMING = Timing(group_wait_ms=30_000, group_interval_ms=60_000, repeat_ms=600_000)
TOLD = Told(voice=ALARM, firing=("a",), at=100_000, loud_at=100_000, flapping=False, stale=False, numbers="v1")
VIEW = View(
    opened_at=100_000, wait_ms=30_000, was_muted=False, firing=("a",), open=1, voice=ALARM,
    flapping=False, stale=False, numbers="v1", takes_notes=True, muted_by=None,
)  # fmt: skip
MUTED = replace(VIEW, firing=(), voice=None, muted_by="seam:x")
OVER = replace(VIEW, firing=(), voice=None, open=0)
NONE = Reason.NONE

CASES = [
    # what                         told, view, now, verdict
    ("waits for its group", None, VIEW, 129_999, Verdict(NONE, Gate.GROUP_WAIT, flips_at=130_000)),
    ("speaks when the wait is over", None, VIEW, 130_000, Verdict(Reason.FIRST)),
    ("over inside the wait", None, OVER, 130_000, Verdict(NONE, Gate.TOO_SHORT)),
    ("muted before the first word", None, MUTED, 999_999, Verdict(NONE, Gate.INHIBITED, flips_when="seam:x clears")),
    ("set free, no louder voice left", None, replace(VIEW, was_muted=True), 130_000, Verdict(Reason.INHIBITOR_GONE)),
    ("flapping from the start", None, replace(VIEW, flapping=True), 130_000, Verdict(Reason.FLAPPING)),
    ("all over", TOLD, OVER, 100_001, Verdict(Reason.ALL_RESOLVED)),
    ("all over, it flapped", replace(TOLD, flapping=True), OVER, 100_001, Verdict(Reason.FLAP_ENDED)),
    ("muted after it was told", TOLD, MUTED, 999_999, Verdict(NONE, Gate.INHIBITED, flips_when="seam:x clears")),
    ("louder", replace(TOLD, voice=CONCERN), VIEW, 100_001, Verdict(Reason.ESCALATED)),
    ("quieter", TOLD, replace(VIEW, voice=CONCERN), 100_001, Verdict(Reason.CHANGED)),
    ("begins to flap", TOLD, replace(VIEW, flapping=True), 100_001, Verdict(Reason.FLAPPING)),
    ("flaps on", replace(TOLD, flapping=True), replace(VIEW, flapping=True), 100_001, Verdict(NONE, Gate.NOTHING_NEW, flips_at=700_000)),
    ("stops flapping, others fire", replace(TOLD, flapping=True), VIEW, 100_001, Verdict(Reason.FLAP_ENDED)),
    ("no news", TOLD, replace(VIEW, stale=True), 100_001, Verdict(Reason.STALE)),
    ("news again", replace(TOLD, stale=True), VIEW, 100_001, Verdict(Reason.STALE_ENDED)),
    ("one more, too early", TOLD, replace(VIEW, firing=("a", "b"), open=2), 159_999, Verdict(NONE, Gate.GROUP_INTERVAL, flips_at=160_000)),
    ("one more", TOLD, replace(VIEW, firing=("a", "b"), open=2), 160_000, Verdict(Reason.NEW_ALERTS)),
    ("one less", replace(TOLD, firing=("a", "b")), VIEW, 160_000, Verdict(Reason.SOME_RESOLVED)),
    ("new numbers, too early", TOLD, replace(VIEW, numbers="v2"), 159_999, Verdict(NONE, Gate.GROUP_INTERVAL, flips_at=160_000)),
    ("new numbers", TOLD, replace(VIEW, numbers="v2"), 160_000, Verdict(Reason.CHANGED)),
    ("nothing new", TOLD, VIEW, 699_999, Verdict(NONE, Gate.NOTHING_NEW, flips_at=700_000)),
    ("still going on", TOLD, VIEW, 700_000, Verdict(Reason.REPEAT)),
    ("a pager hears no new numbers", TOLD, replace(VIEW, numbers="v2", takes_notes=False), 160_000, Verdict(NONE, Gate.NOTHING_NEW)),
    ("a pager hears no repeat", TOLD, replace(VIEW, takes_notes=False), 9_000_000, Verdict(NONE, Gate.NOTHING_NEW)),
    ("a pager hears no notice", TOLD, replace(VIEW, stale=True, flapping=True, takes_notes=False), 160_000, Verdict(NONE, Gate.NOTHING_NEW)),
    ("a pager hears the end", TOLD, replace(OVER, takes_notes=False), 100_001, Verdict(Reason.ALL_RESOLVED)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "view", "now", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_table_of_reasons_and_gates(told: Told | None, view: View, now: int, verdict: Verdict) -> None:
    assert why_notify(told, view, TIMING, now) == verdict


def test_curiosity_is_never_repeated() -> None:
    timing = replace(TIMING, repeat_ms=None)
    assert why_notify(TOLD, VIEW, timing, 10**9) == Verdict(NONE, Gate.NOTHING_NEW)
