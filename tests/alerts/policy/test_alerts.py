from __future__ import annotations

import pytest

from alerts.policy.alerts import Alert, AlertState, change, cleared, held, is_repeat, raised, subject_of, ticked
from alerts.policy.model import AlertRules, Change
from schemas.types import VoiceName
from tests.alerts.saying import facts

RULES = AlertRules()
MINUTE = 60_000
FIRING, STALE, FLAPPING, RESOLVED = AlertState.FIRING, AlertState.STALE, AlertState.FLAPPING, AlertState.RESOLVED


def firing(now: int = 0, subject: str = "seam:a") -> Alert:
    return raised(None, facts("raise", subject=subject), now, 0, RULES)


def flap(times: int, every: int = MINUTE) -> Alert:
    """Raised and cleared so often; the last raise still holds. Raises at 0, every, 2 every…"""
    alert = firing(0)
    for nth in range(1, times):
        alert = cleared(alert, facts("clear", n=nth), nth * every - 1, 0)
        alert = raised(alert, facts("raise", n=nth), nth * every, 0, RULES)
    return alert


def test_a_raise_fires_and_a_clear_resolves() -> None:
    alert = firing(5)
    over = cleared(alert, facts("clear"), 9, 3)
    assert (alert.state, alert.open, alert.raised_at, alert.raises) == (FIRING, True, 5, (5,))
    assert (over.state, over.open, over.ended_at, over.heard_tick) == (RESOLVED, False, 9, 3)


@pytest.mark.parametrize(("raises", "state"), [(1, FIRING), (2, FIRING), (3, FIRING), (4, FLAPPING), (5, FLAPPING)])
def test_the_fourth_raise_in_half_an_hour_flaps(raises: int, state: AlertState) -> None:
    assert flap(raises).state is state


@pytest.mark.parametrize(("every", "state"), [(10 * MINUTE - 1, FLAPPING), (10 * MINUTE, FIRING)])
def test_raises_older_than_half_an_hour_do_not_count(every: int, state: AlertState) -> None:
    assert flap(4, every).state is state


def test_a_flapping_alert_only_counts_raises_and_clears() -> None:
    alert = flap(4)
    quiet = cleared(alert, facts("clear", n=9), 4 * MINUTE, 0)
    again = raised(quiet, facts("raise", n=9), 5 * MINUTE, 0, RULES)
    assert [(one.state, one.holding, one.raises[-1]) for one in (alert, quiet, again)] == [
        (FLAPPING, True, 3 * MINUTE),
        (FLAPPING, False, 3 * MINUTE),
        (FLAPPING, True, 5 * MINUTE),
    ]


def test_flapping_ends_half_an_hour_after_the_last_raise_if_nothing_holds() -> None:
    holding = flap(4)
    quiet = cleared(holding, facts("clear", n=9), 4 * MINUTE, 0)
    end = 33 * MINUTE
    assert ticked(holding, end, 0, RULES) == (holding, "")
    assert ticked(quiet, end - 1, 0, RULES) == (quiet, "")
    after, cause = ticked(quiet, end, 0, RULES)
    assert after is not None
    assert (after.state, after.ended_at, cause) == (RESOLVED, end, "quiet")


@pytest.mark.parametrize(("ticks", "state"), [(119, FIRING), (120, STALE)])
def test_a_level_without_a_record_for_120_ticks_is_stale(ticks: int, state: AlertState) -> None:
    after, _ = ticked(firing(), 0, ticks, RULES)
    assert after is not None
    assert after.state is state


def test_a_jump_of_the_clock_makes_nothing_stale() -> None:
    alert = firing()
    assert ticked(alert, 10**12, 1, RULES) == (alert, "")


def test_a_connection_is_never_stale() -> None:
    alert = firing(subject="connection:c-1")
    assert ticked(alert, 0, 10**6, RULES) == (alert, "")


def test_a_sign_of_life_ends_staleness() -> None:
    stale, cause = ticked(firing(), 0, 120, RULES)
    assert stale is not None
    alive = held(stale, facts("hold", pain=0.9), 121)
    assert (cause, stale.state, alive.state, alive.heard_tick, alive.peak_pain) == ("silence", STALE, FIRING, 121, 0.9)


@pytest.mark.parametrize(
    ("subject", "state"), [("seam:a", STALE), ("ecosystem:iskra", STALE), ("connection:c-1", RESOLVED)]
)
def test_a_level_that_was_forgotten_did_not_recover(subject: str, state: AlertState) -> None:
    over = cleared(firing(subject=subject), facts("clear", subject=subject, reason="forgotten"), 5, 0)
    assert over.state is state


def test_a_stale_alert_is_resolved_by_a_clear_and_lives_on_by_a_raise() -> None:
    stale = cleared(firing(), facts("clear", reason="forgotten"), 5, 0)
    assert cleared(stale, facts("clear", n=1), 6, 0).state is RESOLVED
    again = raised(stale, facts("raise", n=1), 7, 0, RULES)
    assert (again.state, again.raised_at) == (FIRING, 0)


def test_a_resolved_alert_is_kept_an_hour_for_its_celebration() -> None:
    over = cleared(firing(), facts("clear"), 0, 0)
    assert ticked(over, 60 * MINUTE, 0, RULES) == (over, "")
    assert ticked(over, 60 * MINUTE + 1, 0, RULES) == (None, "")


def test_the_same_record_twice_is_a_repeat() -> None:
    one = facts("raise")
    alert = raised(None, one, 0, 0, RULES)
    assert is_repeat(alert, one)
    assert not is_repeat(alert, facts("hold"))
    assert not is_repeat(None, one)


def test_a_transition_names_both_states_and_the_cause() -> None:
    alert = firing()
    assert change(None, alert, "voice_raised") == Change("seam:a", VoiceName.ALARM, "none", "firing", "voice_raised")
    assert change(alert, held(alert, facts("hold"), 1), "voice_held") is None
    assert subject_of("Alarm|seam:a|b") == "seam:a|b"
