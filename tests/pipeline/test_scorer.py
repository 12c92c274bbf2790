"""The scorer as a processor: outcomes, closing, revising, silence, early words, shares, bounds, state."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

from pipeline.runtime.contract import Processor, StateRecord
from pipeline.scoring.rules import ScoreRules
from schemas.types import Level, VoiceName

from .scoring.scenes import (
    ALL,
    LINK,
    START,
    Fact,
    Scene,
    Told,
    at,
    base,
    beats,
    blip,
    fact,
    interleaved,
    make_scorer,
    record_of,
)

FAILED = "connection_failed"


def test_the_scorer_is_a_processor():
    processor: Processor = make_scorer()
    assert list(processor.snapshot())


def ends(told: Told, link: str = LINK) -> list[float]:
    return [(score.window_end - START) / 1_000 for score in told.scores if score.subject == f"connection:{link}"]


# --------------------------------------------------------------------------------------------------- one record


def test_the_requirements_own_example_is_scored_by_its_key():
    example = {
        "delta": "connection_lost",
        "dimension": 5,
        "omega": 0.9,
        "lambda": "initiate_reconnection",
        "fractal_metadata": {
            "seam_id": "network_infrastructure",
            "voice_pain": 0.8,
            "voice_chaos": 0.6,
            "voice_trust": 0.2,
        },
    }
    scene = Scene()
    record = record_of(fact(5, "x"), 0)._replace(value=json.dumps(example).encode())
    scene.feed([record])
    scene.close(30)
    score = scene.told.last()[30]
    assert (score.subject, score.level, score.dimension) == ("connection:c-1", Level.CONNECTION, 5)
    assert [(c.event_id, c.offset) for c in score.contributors] == [("0-0", 0)]


def test_every_record_has_one_outcome():
    scene = Scene()
    same = {"event_id": "e-1"}
    records = [
        record_of(fact(0, FAILED, **same), 0),
        record_of(fact(0, FAILED, **same), 1),
        record_of(fact(0, "connection_lost", **same), 2),
        record_of(fact(1, FAILED), 3)._replace(value=None),
        record_of(fact(1, FAILED), 4)._replace(value=b"{"),
    ]
    scene.feed(records)
    assert scene.told.counts == {"scored": 1, "duplicate": 1, "rejected": 2, "tombstone": 1}
    reasons = [dict(output.headers)["iskra.reason"] for output in scene.told.others]
    assert reasons == [b"id_conflict", b"not_json"]
    assert [(output.topic, output.value) for output in scene.told.others] == [
        ("events.rejected.v1", records[2].value),
        ("events.rejected.v1", b"{"),
    ]
    assert dict(scene.told.others[0].headers)["iskra.path"] == b"event_id"


def test_a_late_event_goes_to_its_topic_as_it_came_and_moves_nothing():
    scene = Scene()
    scene.play([*base(), *beats(30, 200)])
    before = scene.scorer.watermark
    late = record_of(fact(40, FAILED), scene.offset, append=190)._replace(headers=(("trace", b"t"),))
    told = scene.feed([late])
    assert told.counts == {"late": 1}
    assert (scene.scorer.watermark, told.scores, told.partials) == (before, [], [])
    assert [(o.topic, o.key, o.value, o.headers) for o in told.others] == [
        (
            "events.late.v1",
            b"c-1",
            late.value,
            (
                ("trace", b"t"),
                ("iskra.topic", b"events.v1"),
                ("iskra.partition", b"0"),
                ("iskra.offset", str(late.offset).encode()),
            ),
        )
    ]


def test_a_rejected_event_never_moves_the_watermark():
    scene = Scene()
    scene.play(base())
    watermark = scene.scorer.watermark
    scene.feed([record_of(fact(50, FAILED, omega=7), 1)])
    assert scene.told.counts == {"scored": 1, "rejected": 1}
    assert scene.scorer.watermark == watermark


def test_an_event_of_another_key_is_counted_and_scored_under_its_connection():
    scene = Scene()
    scene.play([fact(0, FAILED, connection_id="c-9")], until=30)
    assert 30.0 in scene.told.last("c-9")
    assert scene.scorer.tallies["key_mismatch"] == 1


def test_unknown_deltas_and_fields_are_counted_up_to_their_caps():
    rules = replace(ALL, max_unknown_deltas=1, max_unknown_fields=1)
    scene = Scene(rules)
    given = {"dimension": 1, "omega": 1.0, "lambda": "look_here", "fractal_metadata": {"voice_pain": 0.4}}
    scene.play([fact(0, "odd_one", strange=1, **given), fact(1, "odd_two", queer=1, **given)], until=30)
    tallies = scene.scorer.tallies
    assert (tallies["unknown_delta"], tallies["unknown_field:strange"], tallies["unknown_field:unknown"]) == (2, 1, 1)
    assert [p.deltas for p in scene.told.partials if not p.early] == [{"odd_one": 1, "unknown": 1}]


def test_an_agent_silent_about_a_stranger_is_not_scored():
    scene = Scene()
    told = scene.play([fact(0, "agent_silent")], until=None)
    assert told.counts == {"scored": 1}
    assert (scene.scorer.connections, scene.scorer.watermark) == (0, None)
    assert scene.scorer.tallies["silent_unknown"] == 1


def test_an_agent_silent_from_outside_goes_to_the_seam_of_the_last_real_event():
    scene = Scene()
    told = scene.play([fact(1, "batch_sent"), fact(2, "agent_silent"), fact(3, "heartbeat_success")], until=30)
    failures = {p.parent: p.failures for p in told.partials if p.window_end == at(30)}
    assert failures == {"seam:connection_management": 1, "seam:network_infrastructure": 0}


def test_an_agent_silent_moves_to_the_seam_that_an_event_coming_later_gives_it():
    scene = Scene()
    for one, append in (
        (fact(1, "batch_sent"), 1),
        (fact(6, "agent_silent"), 6),
        (fact(4, "protocol_violation"), 7),
        (fact(5, "heartbeat_success"), 8),
    ):
        scene.one(one, append=append)
    scene.close(30)
    failures = {p.parent: p.failures for p in scene.told.partials if p.window_end == at(30) and not p.early}
    assert failures == {"seam:connection_management": 0, "seam:data_contract": 1, "seam:network_infrastructure": 1}


# ------------------------------------------------------------------------------------- panes close and are revised


def test_a_pane_closes_when_the_watermark_passes_its_end():
    scene = Scene()
    scene.play(base())
    assert ends(scene.one(fact(31.9, "heartbeat_success"))) == []
    assert ends(scene.one(fact(32, "heartbeat_success"))) == [30]


def test_an_event_within_the_grace_period_revises_its_pane():
    scene = Scene()
    scene.play([*base(), fact(33, "heartbeat_success")])
    told = scene.one(fact(29, "error_detected"), append=34)
    (score,) = told.scores
    assert (score.window_end, score.revision, score.pain) == (at(30), 1, 0.510976)
    assert scene.told.last()[30].revision == 1


def test_an_event_saved_in_order_for_its_own_connection_revises_all_it_touches():
    scene = Scene()
    scene.play([*base(), *beats(30, 200)], link="other")
    told = scene.one(fact(40, FAILED), append=190)
    assert told.counts == {"scored": 1}
    assert [(score.window_end - START) / 1_000 for score in told.scores] == [60, 90, 120, 150]
    assert [score.revision for score in told.scores] == [0, 0, 0, 0]


def test_revised_shares_are_sent_together_and_count_up():
    scene = Scene()
    scene.play([*base(), fact(33, "heartbeat_success")])
    told = scene.one(fact(29, "heartbeat_success"), append=33.1)
    told.take(scene.scorer.apply([record_of(fact(28, "heartbeat_success"), 3, append=33.5)], at(33.5)))
    assert told.partials == []
    after = scene.one(fact(34.1, "heartbeat_success"))
    assert [(p.parent, p.window_end, p.revision, p.events) for p in after.partials] == [
        ("seam:network_infrastructure", at(30), 1, 3)
    ]


def test_the_clock_sends_revised_shares_too():
    scene = Scene()
    scene.play([*base(), fact(33, "heartbeat_success")])
    scene.one(fact(29, "heartbeat_success"), append=33.1)
    assert scene.tick(34.0).partials == []
    assert [p.revision for p in scene.tick(34.2).partials] == [1]


def test_links_that_turn_out_to_have_lived_are_counted_again():
    scene = Scene()
    scene.play([*base(), fact(33, "heartbeat_success")])
    told = scene.one(fact(29, "connection_established"), link="c-2", append=33.5)
    told = scene.one(fact(36, "heartbeat_success"))
    assert [(p.window_end, p.live) for p in told.progress] == [(at(30), {"": 2})]
    ids = [p.id for p in scene.told.progress]
    assert len(ids) == len(set(ids))


def test_a_revision_of_the_newest_pane_decides_its_voice_again():
    scene = Scene()
    scene.play([*base(), fact(5, "auth_failed"), fact(33, "heartbeat_success")])
    assert scene.told.said() == [(30, "raised", "Alarm")]
    quiet = Scene()
    quiet.play([*base(), fact(33, "heartbeat_success")])
    told = quiet.one(fact(29, "auth_failed"), append=34)
    assert told.said() == [(30, "raised", "Alarm")]
    assert [voice.revision for voice in told.voices] == [1]


def test_a_partition_that_was_empty_for_long_is_stepped_over():
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed")])
    far = 1_000_000.0
    for second in (far, far + 60, far + 90, far + 120):
        told = scene.one(fact(second, "connection_established"), link="new")
        assert len(told.progress) < 30
    assert scene.scorer.connections == 1


# ------------------------------------------------------------------------------ silence, closing, forgetting


def closing_beats(until: float) -> list[Fact]:
    return [*base(), *beats(30, until)]


def states(told: Told, link: str = LINK) -> dict[float, str | None]:
    return {second: score.link_state for second, score in told.last(link).items()}


def test_a_silent_link_is_judged_down_and_a_beat_proves_it_up_again():
    scene = Scene()
    scene.play(base())
    scene.close(120)
    told = scene.play([fact(150, "heartbeat_success")], until=180)
    assert states(told) == {30: "up", 60: "up", 90: "down", 120: "down", 150: "down", 180: "up"}


def test_a_link_closed_on_purpose_is_not_silent_and_is_forgotten_after_five_minutes():
    told = Scene().play([*base(), fact(10, "connection_closed")], until=600)
    assert set(states(told).values()) == {"closed"}
    assert max(states(told)) == 300  # 310 lies in the pane that ends at 330, which has no record
    assert told.said() == []


def test_any_other_link_is_forgotten_after_an_hour_and_its_voice_ends_so():
    scene = Scene()
    told = scene.play(base(), until=4_200)
    assert max(states(told)) == 3_570
    assert told.said()[-1] == (3_600, "cleared", "Alarm")
    assert told.voices[-1].reason == "forgotten"


def test_a_forgotten_link_starts_from_nothing():
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed")])
    scene.close(690)
    told = scene.play([fact(700, FAILED)], until=720)
    assert told.triad(720)[2] == 0.357143
    assert states(told)[720] == "down"
    assert told.last()[720].revision == 0


def test_a_forgotten_link_leaves_the_state():
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed")], until=300)
    assert b"c:c-1" in [record.key for record in scene.scorer.snapshot() if record.value is not None]
    scene.close(700)
    assert StateRecord(b"c:c-1", None) in list(scene.scorer.snapshot())


def test_an_event_that_denies_a_silence_withdraws_it():
    scene = Scene()
    scene.play(closing_beats(100))
    scene.close(180)
    assert scene.told.last()[180].counts.failures == 1
    told = scene.one(fact(150, "heartbeat_success"), append=183)
    assert told.counts == {"scored": 1}
    assert scene.told.last()[180].counts.failures == 0
    assert scene.told.last()[180].pain == 0.0


def test_a_voice_that_loses_its_cause_by_a_withdrawal_ends_as_revised_and_celebrates_nothing():
    scene = Scene()
    scene.play(closing_beats(100))
    scene.close(240)
    assert scene.told.said() == [(240, "raised", "Alarm")]
    scene.one(fact(150, "heartbeat_success"), append=243)
    cleared = scene.told.voices[-1]
    assert (cleared.delta, cleared.reason, cleared.window_end) == ("voice_cleared", "revised", at(240))
    scene.play(beats(244, 900), until=900)
    assert [what for _, what, _ in scene.told.said()] == ["raised", "cleared"]


def test_what_events_weigh_is_remembered_of_so_many_kinds_and_reckoned_again():
    scene = Scene()
    many = [fact(n / 1_000, "error_detected", omega=n / 5_000) for n in range(4_097)]
    scene.play([*base(), *many, fact(5, "error_detected", omega=0.0)], until=30)
    assert (scene.told.counts, len(scene.scorer._weights)) == ({"scored": 4_100}, 4)


def test_a_link_that_is_back_before_it_is_known_to_be_forgotten_begins_anew():
    """Closed at 10 s, so forgotten at 310 s; back at 400 s, while the hole in the log holds the watermark."""
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed"), fact(400, "auth_failed")])
    scene.play(beats(401, 500, every=3.0), link="other")
    scene.close(520)
    alone = Scene()
    alone.play([fact(400, "auth_failed")])
    alone.play(beats(401, 500, every=3.0), link="other")
    alone.close(520)
    assert (scene.told.last()[420].pain, scene.told.last()[420].trust) == (
        alone.told.last()[420].pain,
        alone.told.last()[420].trust,
    )


def test_an_event_shows_that_a_link_was_not_forgotten_after_all():
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed")], until=330)
    assert scene.scorer.connections == 1  # the keeper
    scene.one(fact(310, "connection_established"), append=333)
    assert scene.scorer.connections == 2
    assert states(scene.told)[330] == "up"


def test_a_link_denied_to_be_forgotten_may_be_forgotten_again():
    scene = Scene()
    scene.play([*base(), fact(10, "connection_closed")])
    scene.close(600)
    assert max(states(scene.told)) == 300
    scene.one(fact(300, "message_processed"), append=602)
    assert max(states(scene.told)) == 570  # forgotten again at 600, five minutes after that
    assert scene.scorer.connections == 1


def test_a_link_that_turns_out_to_have_closed_is_no_longer_among_the_living():
    scene = Scene()
    scene.play([*base(), fact(33, "message_processed")])
    scene.one(fact(29, "connection_closed"), append=33.5)
    told = scene.one(fact(34.6, "message_processed"))
    assert [(p.window_end, p.live) for p in told.progress] == [(at(30), {})]


def test_silence_moves_to_the_seam_of_the_event_found_to_be_the_last():
    scene = Scene()
    scene.play([fact(0, "batch_sent")])
    scene.close(120)
    scene.one(fact(0.5, "protocol_violation"), append=122.5)
    scene.close(126)
    failures = {p.parent: p.failures for p in scene.told.partials if p.window_end == at(120)}
    assert failures["seam:connection_management"] == 0
    assert failures["seam:data_contract"] == 1
    assert [scene.told.last()[end].counts.failures for end in (90, 120)] == [0, 1]


# ------------------------------------------------------------------------------------------ idle, hold


def test_an_idle_partition_lets_the_clock_find_silence():
    scene = Scene()
    scene.play(closing_beats(300))
    for second in range(271, 460):
        scene.tick(second)
    assert scene.told.said() == [(420, "raised", "Alarm")]
    assert scene.told.urgent is True


def test_away_from_the_end_of_the_log_the_clock_finds_nothing():
    scene = Scene()
    scene.play(closing_beats(300))
    for second in range(271, 460):
        scene.tick(second, at_end=False)
    assert max(scene.told.last()) == 240


def test_during_a_hold_nothing_closes_but_alarms_speak_and_the_hold_is_told():
    scene = Scene()
    scene.play(closing_beats(100))
    told = scene.one(fact(700, "heartbeat_success"))
    assert [(p.held, p.window_end) for p in told.progress] == [(True, at(60))]
    told = scene.one(fact(705, "auth_failed"))
    assert (told.said(), told.scores) == ([(720, "raised", "Alarm")], [])
    scene.play(beats(710, 780, every=20))
    released = scene.one(fact(790, "heartbeat_success"))
    assert released.progress[-1].held is False
    assert max(scene.told.last()) == 780


def test_a_hold_that_ends_without_closing_a_pane_is_told():
    scene = Scene()
    scene.play([fact(29, "connection_established")])
    held = scene.feed([record_of(fact(30, "x"), 1, append=130)._replace(value=None)])
    released = scene.feed([record_of(fact(30, "x"), 2, append=220)._replace(value=None)])
    assert [(p.held, p.window_end) for p in (*held.progress, *released.progress)] == [(True, at(0)), (False, at(0))]


# ------------------------------------------------------------------------------------------ speaking early


def test_an_alarm_is_spoken_at_once_and_urgently():
    scene = Scene()
    scene.play(base())
    told = scene.one(fact(5, "auth_failed"))
    (voice,) = told.voices
    assert (voice.delta, voice.voice, voice.window_end, voice.since) == (
        "voice_raised",
        VoiceName.ALARM,
        at(30),
        at(30),
    )
    assert told.urgent is True
    assert voice.fractal_metadata.seam_id == "error_handling"
    assert [moment.window_end for moment in voice.recent] == [at(30)]


def test_what_is_not_certain_is_not_spoken_early():
    scene = Scene()
    scene.play(base())
    told = scene.one(fact(5, "error_detected"))
    assert told.voices == []
    assert [p.early for p in told.partials] == [True]  # .51 crosses .5 on its seam


def test_an_event_of_a_closed_pane_may_make_the_open_one_certain():
    scene = Scene()
    scene.play([*base(), fact(33, "heartbeat_success"), fact(63, "error_detected")])
    told = scene.one(fact(59, "error_detected"), append=64)
    assert told.said() == [(90, "raised", "Alarm")]
    assert scene.told.triad(60)[0] < 0.7


def test_an_early_share_counts_the_children_of_the_last_pane_and_every_new_one():
    scene = Scene()
    links = {f"c-{n}": [*base(), *beats(30, 60)] for n in range(3)}
    scene.feed(list(interleaved(*links.items())))
    scene.close(30)
    scene.one(fact(33, "connection_established"), link="new")
    told = scene.one(fact(34, "connection_failed"), link="c-1")
    (share,) = told.partials
    assert (share.parent, share.window_end, share.early, share.revision) == (
        "seam:network_infrastructure",
        at(60),
        True,
        0,
    )
    assert (share.children, share.over_pain, share.live) == (5, 0, None)  # keeper, new and three
    assert share.worst is not None
    assert (share.worst.subject, share.worst.pain) == ("connection:c-1", 0.590051)
    assert told.urgent is True


def test_an_early_share_of_a_seam_of_all_links_tells_how_many_live():
    scene = Scene()
    scene.play([*base(), *beats(30, 60)])
    scene.one(fact(45, "connection_established"), link="new")
    (share,) = scene.one(fact(46, "protocol_violation")).partials
    assert (share.parent, share.children, share.live) == ("seam:data_contract", 1, 2)


def test_early_shares_are_coalesced_to_one_per_100_ms():
    scene = Scene()
    scene.play(base())
    for n in range(5):
        scene.one(fact(5 + n / 1_000, FAILED), link=f"c-{n}")
    assert [p.children for p in scene.told.partials] == [2]
    told = scene.one(fact(5.1, "message_processed"))
    assert [(p.children, p.revision) for p in told.partials] == [(5, 1)]


def test_the_clock_sends_a_coalesced_share_too():
    scene = Scene()
    scene.play(base())
    scene.one(fact(5, FAILED))
    scene.one(fact(5.05, FAILED))
    assert [p.revision for p in scene.tick(5.06).partials] == []
    assert [p.revision for p in scene.tick(5.2).partials] == [1]


# ------------------------------------------------------------------------------------------ records and shares


def test_a_score_record_is_whole():
    told = Scene().play([*base(), fact(4, "connection_lost"), fact(6, "reconnection_success")], until=30)
    score = told.last()[30]
    assert msgspec.to_builtins(score) | {"id": "", "contributors": [], "omega": {}} == {
        "schema_version": "1.0",
        "id": "",
        "subject": "connection:c-1",
        "level": "connection",
        "window_start": at(0),
        "window_end": at(30),
        "revision": 0,
        "pain": 0.45,
        "chaos": 0.253846,
        "trust": 0.441176,
        "omega": {},
        "dimension": 1,
        "counts": {"events": 3, "successes": 2, "failures": 1, "anomalies": 1},
        "link_state": "up",
        "contributors": [],
        "entropy": 1.584963,
    }


def test_a_share_is_whole():
    told = Scene().play([*base(), fact(4, "connection_lost"), fact(6, "reconnection_success")], until=30)
    (share,) = [p for p in told.partials if not p.early]
    score = told.last()[30]
    assert (share.parent, share.level, share.source, share.children, share.weight) == (
        "seam:network_infrastructure",
        Level.SEAM,
        0,
        1,
        1.0,
    )
    power = ScoreRules().power
    assert share.pain.sum == pytest.approx(0.45**power)
    assert share.pain.omega_sum == pytest.approx(0.45**power * 0.9)
    assert share.distrust.sum == pytest.approx((1 - score.trust) ** power, rel=1e-4)
    assert (share.events, share.successes, share.failures, share.anomalies) == (3, 2, 1, 1)
    assert (share.last_harm, share.last_failure, share.last_anomaly, share.last_success) == (at(4), at(4), at(4), at(6))
    assert [(c.delta, c.offset, c.time) for c in share.contributors] == [("connection_lost", 1, at(4))]


def test_progress_goes_to_every_partition_of_the_partials_behind_the_shares_of_its_pane():
    scene = Scene(peers=3)
    scene.play([*base(), *beats(30, 40)])
    effects = scene.scorer.apply([record_of(fact(33, "heartbeat_success"), 2)], at(33))
    partials = [(o.key, o.partition) for o in effects.outputs if o.topic == "partials.v1"]
    assert partials == [
        (b"network_infrastructure", None),
        (b"progress", 0),
        (b"progress", 1),
        (b"progress", 2),
    ]


def test_an_experiment_is_a_key_space_of_its_own():
    scene = Scene()
    drill = {"experiment_id": "drill-7"}
    scene.play([*base(), fact(5, "auth_failed", **drill), fact(6, "connection_established", **drill)], until=30)
    subjects = {voice.subject: voice.experiment_id for voice in scene.told.voices}
    assert subjects == {"connection:c-1@drill-7": "drill-7"}
    assert scene.told.triad(30)[0] == 0.0
    keys = {p.parent for p in scene.told.partials}
    assert keys == {
        "seam:network_infrastructure",
        "seam:network_infrastructure@drill-7",
        "seam:error_handling@drill-7",
    }
    assert scene.told.progress[-1].live == {"": 1, "drill-7": 1}


def test_a_seam_that_lost_its_children_says_so_once():
    scene = Scene()
    scene.play([fact(0, "batch_sent"), fact(40, "connection_closed")])
    scene.close(150)
    shares = [
        ((p.window_end - START) / 1_000, p.children, p.deltas)
        for p in scene.told.partials
        if p.parent == "seam:connection_management"
    ]
    assert shares == [(30, 1, {"batch_sent": 1}), (60, 0, {})]


def test_more_seams_than_there_are_places_are_other():
    rules = replace(ALL, max_seams=11)
    scene = Scene(rules)
    facts = [fact(n, FAILED, fractal_metadata={"seam_id": f"edge_{n}"}) for n in range(3)]
    told = scene.play(facts, until=30)
    parents = {p.parent for p in told.partials if not p.early}
    assert parents == {"seam:edge_0", "seam:other"}


# ------------------------------------------------------------------------------------------ what is published


def test_changed_publishes_the_first_record_and_what_moved_by_a_hundredth():
    told = Scene(ScoreRules()).play([*base(), *beats(30, 900)], until=900)
    scores = [told.last()[second].trust for second in sorted(told.last())]
    assert scores[0] == 0.591837
    steps = [round(abs(b - a), 6) for a, b in pairwise(scores)]
    assert min(steps) >= 0.01
    assert 900 not in told.last()


def test_a_voice_publishes_its_score_whatever_has_moved():
    told = Scene(ScoreRules(emit="voices")).play([*base(), *beats(30, 300), fact(100, "auth_failed")], until=300)
    assert sorted(told.last()) == [voice_end for voice_end, what, _ in told.said() if what == "cleared"]


def test_a_revision_is_published_when_it_moved_the_published_record():
    scene = Scene(ScoreRules())
    scene.play([*base(), fact(33, "heartbeat_success")])
    assert scene.one(fact(28, "message_processed"), append=34).scores == []
    assert [s.revision for s in scene.one(fact(29, "error_detected"), append=35).scores] == [1]


# ------------------------------------------------------------------------------------------ bounds


def test_the_connections_heard_of_least_recently_make_room():
    scene = Scene(replace(ALL, max_connections=2))
    scene.one(fact(0, "auth_failed"), link="loud")
    scene.one(fact(1, "connection_established"), link="b")
    scene.close(30)
    scene.one(fact(40, "heartbeat_success"), link="b")
    assert scene.scorer.tallies["evicted:connections"] >= 1
    assert scene.scorer.connections <= 2
    forgotten = [v for v in scene.told.voices if v.subject == "connection:loud" and v.delta == "voice_cleared"]
    assert [v.reason for v in forgotten] == ["forgotten"]


def test_a_link_already_forgotten_makes_room_without_a_word():
    scene = Scene(replace(ALL, max_connections=2))
    scene.play([*base(), fact(10, "connection_closed")], until=330)
    told = scene.one(fact(340, "connection_established"), link="new")
    assert told.voices == []
    assert scene.scorer.tallies["evicted:connections"] == 1
    assert scene.scorer.connections == 2


def test_before_anything_has_closed_the_first_to_leave_leaves_without_a_word():
    scene = Scene(replace(ALL, max_connections=1))
    scene.one(fact(0, "connection_established"), link="a")
    scene.one(fact(1, "connection_established"), link="b")
    assert scene.scorer.connections == 1


def test_events_of_endless_variety_do_not_fill_the_memory():
    scene = Scene()
    facts = [fact(n / 1_000, "heartbeat_success", data={"latency_ms": 100 + n / 10}) for n in range(5_000)]
    scene.play(facts)
    assert scene.told.counts == {"scored": 5_000}
    (state,) = [r for r in scene.scorer.snapshot() if r.key == b"c:c-1"]
    assert state.value is not None
    assert len(state.value) < 2_000


# ------------------------------------------------------------------------------------------ state


def stored(scene: Scene) -> list[StateRecord]:
    return list(scene.scorer.snapshot())


def test_only_what_changed_is_stored():
    scene = Scene()
    scene.feed(list(interleaved(("a", base()), ("b", base()))))
    assert {record.key for record in stored(scene)} == {b"core", b"c:a", b"c:b"}
    assert stored(scene) == []
    scene.one(fact(1, "heartbeat_success"), link="a")
    assert {record.key for record in stored(scene)} == {b"core", b"c:a"}


def test_the_clock_alone_is_no_reason_to_store():
    scene = Scene()
    scene.play(base())
    stored(scene)
    scene.tick(5)
    scene.tick(9)
    assert stored(scene) == []


def test_ids_are_appended_not_rewritten():
    scene = Scene()
    scene.one(fact(0, "heartbeat_success", event_id="e-0"))
    first = [record.key for record in stored(scene) if record.key.startswith(b"i:")]
    scene.one(fact(1, "heartbeat_success", event_id="e-1"))
    second = [record.key for record in stored(scene) if record.key.startswith(b"i:")]
    assert (first, second) == ([b"i:0"], [b"i:1"])


@pytest.mark.parametrize(
    ("core", "words"),
    [
        ([3, 30_000], "format 3, this version reads 2"),
        ([1, 30_000], "format 1, this version reads 2"),
        ([2, 2_000], "panes of 2000 ms, the rules say 30000 ms"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(core, words):
    scene = Scene()
    scene.play(base())
    (record,) = [r for r in stored(scene) if r.key == b"core"]
    assert record.value is not None
    whole = msgspec.msgpack.decode(record.value)
    bad = msgspec.msgpack.encode([*core, *whole[2:]])
    with pytest.raises(ValueError, match=words):
        make_scorer().restore([StateRecord(b"core", bad)])


def test_an_empty_state_and_deleted_records_are_nothing():
    scorer = make_scorer()
    scorer.restore([StateRecord(b"c:gone", None)])
    assert (scorer.connections, scorer.watermark, scorer.held) == (0, None, False)


def test_a_blip_in_a_restored_state_scores_as_before():
    straight, broken = Scene(), Scene()
    story = [*base(), *beats(30, 600), *blip(300)]
    straight.play(story, until=600)
    for one in sorted(story, key=lambda one: one[0]):
        broken.one(one)
        if one[0] in (90, 301, 330):
            broken.scorer, old = make_scorer(), broken.scorer
            broken.scorer.restore(_everything(old))
    broken.close(600)
    assert broken.told.last() == straight.told.last()


def _everything(scorer: object) -> list[StateRecord]:
    """All of a scorer's state, whatever was stored before."""
    assert hasattr(scorer, "snapshot")
    return list(scorer.snapshot())
