"""Whole stories through scorers and roll-ups: what each level must say of them (semantics.md 6, behaviour).

Where the design speaks of 10,000 links, fewer stand for them here: the scores of a level depend on shares only.
"""

from __future__ import annotations

import random

import pytest
from msgspec import structs

from pipeline.scoring.rules import ScoreRules
from schemas.types import Level, VoiceName
from tests.levels import START, Cluster, Line, beats, flaps

NETWORK = "seam:network_infrastructure"
ECOSYSTEM = "ecosystem:iskra"


def healthy(number: int, until: float, *, since: float = 0.0, prefix: str = "c") -> list[Line]:
    """Links that are established one after the other within a pane and beat every 30 s."""
    story: list[Line] = []
    for i in range(number):
        start = since + 29.0 * i / number
        link = f"{prefix}-{i:05}"
        story.append(Line(start, link, "connection_established"))
        story += beats(link, start + 30, until)
    return story


def outage(links: list[str], since: float, until: float) -> list[Line]:
    """Lost, then one refused attempt after the other with growing distance, up to ``until``."""
    story: list[Line] = []
    for i, link in enumerate(links):
        at = since + 3.0 * i / len(links)
        story.append(Line(at, link, "connection_lost"))
        wait = 1.0
        while at + wait < until:
            at += wait
            story.append(Line(at, link, "connection_failed"))
            wait = min(30.0, wait * 1.7)
    return story


def without(story: list[Line], links: set[str], since: float, until: float) -> list[Line]:
    """A story in which these links do not beat for a while."""
    return [line for line in story if not (line.link in links and since <= line.ts < until)]


def test_healthy_links_for_an_hour_have_no_voice():
    cluster = Cluster(scorers=4, rollups=2)
    cluster.live(healthy(60, 3_600), 3_620, step=5.0)
    assert cluster.voices == []
    seam, whole = cluster.last(NETWORK), cluster.last(ECOSYSTEM)
    assert len(seam) == len(whole) == 120
    assert {(s.pain, s.chaos, s.children) for s in seam.values()} == {(0.0, 0.0, 60)}
    assert whole[3_600].trust == pytest.approx(0.845, abs=0.01)
    assert set(cluster.outcomes) == {"scored"}
    assert set(cluster.merged) == {"merged"}


def test_a_rolling_deploy_has_no_voice_and_keeps_the_trust_of_the_whole():
    number, story = 120, []
    for i in range(number):
        link, closes = f"c-{i:05}", 1_200.0 + 5.0 * i
        back = closes + 10 + (i * 37) % 110
        story += [Line(0.2 * i, link, "connection_established"), *beats(link, 30 + 0.2 * i, closes)]
        story += [Line(closes, link, "connection_closed"), Line(back, link, "connection_established")]
        story += beats(link, back + 30, 2_700)
    cluster = Cluster()
    cluster.live(story, 2_700, step=5.0)
    assert cluster.voices == []
    assert min(s.trust for at, s in cluster.last(ECOSYSTEM).items() if at >= 1_200) > 0.8


@pytest.mark.parametrize(("down", "speaks"), [(2, False), (12, True)])
def test_a_seam_alarms_when_more_than_a_twentieth_of_its_links_hurt(down, speaks):
    lost = [f"c-{i:05}" for i in range(down)]
    story = without(healthy(100, 1_200), set(lost), 600, 1_200) + outage(lost, 605, 700)
    cluster = Cluster(scorers=3)
    cluster.live(story, 720)
    assert (NETWORK in cluster.speakers()) is speaks
    if speaks:
        raised = cluster.words(NETWORK)[0]
        assert raised == ("raised", "Alarm", 630.0)


def test_a_seam_outage_is_told_early_and_once_and_ends_with_a_celebration():
    lost = [f"c-{i:05}" for i in range(36)]
    story = without(healthy(60, 1_800), set(lost), 600, 720) + outage(lost, 605, 718)
    story += [Line(720 + 0.1 * i, link, "reconnection_success") for i, link in enumerate(lost)]
    cluster = Cluster(scorers=3)
    cluster.live(story, 612)
    assert cluster.words(NETWORK) == [("raised", "Alarm", 630.0)]
    assert cluster.words(ECOSYSTEM) == [("raised", "Alarm", 630.0)]
    cluster = Cluster(scorers=3)
    cluster.live(story, 1_800)
    for subject in (NETWORK, ECOSYSTEM):
        words = cluster.words(subject)
        assert [word for word, _, _ in words if word != "changed"] == ["raised", "cleared", "celebrated"], words
        assert words[0] == ("raised", "Alarm", 630.0)
        cleared = next(voice for voice in cluster.voices if voice.subject == subject and voice.delta == "voice_cleared")
        assert cleared.reason == "recovered"
    held = [v for v in cluster.voices if v.subject == NETWORK and v.delta == "voice_held"]
    assert len({v.window_end for v in held}) == len(held) >= 3


def test_a_seam_outage_of_which_one_in_a_hundred_never_comes_back_clears():
    number = 100
    lost = [f"c-{i:05}" for i in range(number)]
    story = without(healthy(number, 2_400), set(lost), 600, 720)
    story = without(story, {lost[0]}, 600, 2_400) + outage(lost[1:], 605, 718) + outage(lost[:1], 605, 2_400)
    story += [Line(720 + 0.1 * i, link, "reconnection_success") for i, link in enumerate(lost[1:])]
    cluster = Cluster()
    cluster.live(story, 1_500, step=2.0)
    words = [word for word in cluster.words(NETWORK) if word[0] != "changed"]
    assert [(word, voice) for word, voice, _ in words[:1]] == [("raised", "Alarm")]
    cleared = [voice for voice in cluster.voices if voice.subject == NETWORK and voice.delta == "voice_cleared"]
    assert len(cleared) == 1
    assert cluster.last(NETWORK)[1_470].pain < 0.6
    assert cluster.last(NETWORK)[1_470].worst_child == f"connection:{lost[0]}"


def test_one_violation_on_one_of_2001_links_is_no_alarm_of_the_seam():
    number = 2_001
    story = [Line(25.0 * i / number, f"c-{i:05}", "connection_established") for i in range(number)]
    story += beats("c-00007", 30, 120)
    story.append(Line(26.0, "c-00007", "protocol_violation"))  # before the first pane closes
    story.append(Line(70.0, "c-00008", "protocol_violation"))
    cluster = Cluster(scorers=2)
    cluster.live(story, 110)
    assert {s for s in cluster.speakers() if not s.startswith("connection:")} == set()
    assert {s.children for s in cluster.last("seam:data_contract").values()} == {number}
    assert cluster.words("connection:c-00007") == [("raised", "Alarm", 30.0)]


def test_a_violation_each_200_s_brings_at_most_one_celebration_in_50_minutes():
    story = [*healthy(1, 3_000), *(Line(float(at), "c-00000", "protocol_violation") for at in range(310, 3_000, 200))]
    cluster = Cluster(scorers=1, rollups=1)
    cluster.live(story, 3_000, step=2.0)
    for subject in cluster.speakers():
        celebrated = [word for word, _, _ in cluster.words(subject) if word == "celebrated"]
        assert len(celebrated) <= 1, subject
    assert "seam:data_contract" in cluster.speakers()


@pytest.mark.parametrize("every", [20, 50, 100])
def test_a_flapping_link_has_one_steady_voice_and_none_of_its_seam(every):
    # Of 150 links one that flaps each 20 s would make the seam curious: chaos .96 on 1 of 150 is .53.
    story = [*healthy(300, 870), *flaps("c-00000", 150, 870, every=every)]
    cluster = Cluster()
    cluster.live(story, 870, step=5.0)
    assert cluster.speakers() == {"connection:c-00000"}
    words = cluster.words("connection:c-00000")
    assert [word for word, _, _ in words].count("raised") == 1
    assert "cleared" not in [word for word, _, _ in words]


#   0 s ............ 1200 s    Kafka down    1800 s   agent A flushes   1820 s   agent B flushes


def test_kafka_down_for_ten_minutes_makes_nothing_late_and_no_false_voice():
    story: list[Line] = []
    for line in healthy(60, 3_000):
        back = 1_800.0 if int(line.link[-1]) % 2 else 1_820.0
        sent = back + (line.ts - 1_200) / 600 if 1_200 <= line.ts < back else line.ts
        story.append(Line(line.ts, line.link, line.delta, sent=sent))
    cluster = Cluster(scorers=2)
    cluster.live(story, 3_000, down=(1_200, 1_800))
    assert cluster.voices == []
    assert cluster.outcomes == {"scored": len(story)}
    whole = cluster.last(ECOSYSTEM)
    assert sorted(whole) == [30.0 * n for n in range(1, 100)]
    assert {(s.pain, s.chaos) for s in whole.values()} == {(0.0, 0.0)}


def test_an_outage_that_begins_while_kafka_is_down_is_told_when_it_is_back():
    lost = [f"c-{i:05}" for i in range(20)]
    plain = without(healthy(40, 3_000), set(lost), 1_500, 3_000) + outage(lost, 1_500, 1_980)
    story = [
        Line(line.ts, line.link, line.delta, sent=1_800 + (line.ts - 1_200) / 600 if 1_200 <= line.ts < 1_800 else None)
        for line in plain
    ]
    cluster = Cluster(scorers=2)
    cluster.live(story, 1_830, down=(1_200, 1_800))
    assert cluster.words(NETWORK)[:1] == [("raised", "Alarm", cluster.words(NETWORK)[0][2])]


def test_an_agent_killed_with_its_links_and_restarted_under_a_new_name_is_no_recovery_of_the_old():
    old, others = healthy(30, 900, prefix="old"), healthy(30, 6_000, prefix="other")
    new = healthy(30, 6_000, since=930, prefix="new")
    cluster = Cluster(scorers=2, rollups=1)
    cluster.live([*old, *others, *new], 6_000, step=10.0)
    celebrated = {voice.subject for voice in cluster.voices if voice.delta == "voice_celebrated"}
    assert celebrated == set()
    # They fell silent, hurt, and were forgotten an hour after their last word.
    assert [v for v in cluster.voices if v.voice is VoiceName.ALARM and v.subject.startswith("connection:old")]
    reasons = {v.reason for v in cluster.voices if v.subject == NETWORK and v.delta == "voice_cleared"}
    assert reasons == {"forgotten"}


def test_silence_alone_alarms_the_seam_when_everybody_is_silent():
    cluster = Cluster(scorers=2)
    cluster.live(healthy(20, 280), 520)
    assert cluster.words(NETWORK)[0][:2] == ("raised", "Alarm")
    assert 390 <= cluster.words(NETWORK)[0][2] <= 450


def test_an_experiment_s_voices_stay_in_its_own_key_space():
    drill = [Line(line.ts, f"x-{line.link}", line.delta, experiment="drill-7") for line in healthy(10, 330)]
    drill += [
        Line(line.ts, line.link, line.delta, experiment="drill-7")
        for line in outage([f"x-c-{i:05}" for i in range(10)], 300, 330)
    ]
    cluster = Cluster()
    cluster.live([*healthy(10, 400), *drill], 360)
    assert {v.experiment_id for v in cluster.voices} == {"drill-7"}
    assert {f"{NETWORK}@drill-7", f"{ECOSYSTEM}@drill-7"} <= cluster.speakers()
    assert {s.experiment_id for s in cluster.scores if s.subject in {NETWORK, ECOSYSTEM}} == {None}


@pytest.mark.parametrize("every", [10.0, 70.0])
def test_workers_that_are_replaced_say_what_others_would_have_said(every):
    lost = [f"c-{i:05}" for i in range(6)]
    story = without(healthy(12, 900), set(lost), 300, 400) + outage(lost, 305, 398)
    story += [Line(400 + 0.1 * i, link, "reconnection_success") for i, link in enumerate(lost)]
    steady, replaced = Cluster(), Cluster()
    steady.live(story, 900, step=2.0)
    replaced.live(story, 900, step=2.0, restart_every=every)
    assert replaced.voices == steady.voices
    assert replaced.scores == steady.scores


@pytest.mark.parametrize("seed", [1, 2])
def test_however_links_are_spread_over_workers_the_levels_say_the_same(seed):
    dice = random.Random(seed)
    story = healthy(24, 600)
    deltas = ["connection_lost", "reconnection_success", "protocol_violation", "auth_failed", "server_overload"]
    story += [Line(dice.uniform(60, 590), f"c-{dice.randrange(24):05}", dice.choice(deltas)) for _ in range(120)]
    told = []
    for scorers, rollups in ((1, 1), (4, 2), (3, 3)):
        cluster = Cluster(scorers=scorers, rollups=rollups, rules=ScoreRules(emit="all"))
        cluster.live(story, 700, step=2.0)
        told.append(
            {
                # What is left out: ids, revisions, and contributors, whose partition and offset tell the spread.
                (s.subject, s.window_end): structs.replace(s, id="", revision=0, contributors=())
                for s in cluster.scores
                if s.level is not Level.CONNECTION and s.window_end <= START + 600_000
            }
        )
    assert told[0] == told[1] == told[2]
