"""The msgspec twins say what the pydantic models say, in both directions."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from pydantic import BaseModel

from schemas import partials as partial_models
from schemas import scores as score_models
from schemas import voices as voice_models
from schemas import wire
from schemas.codec import decode_partial, decode_score, decode_voice, encode
from schemas.types import Level, VoiceName

from . import strategies as some

TWINS = [
    (wire.OmegasWire, score_models.Omegas),
    (wire.CountsWire, score_models.Counts),
    (wire.ContributorWire, score_models.Contributor),
    (wire.OverWire, score_models.Over),
    (wire.ScoreWire, score_models.ScoreRecord),
    (wire.VoiceMetadataWire, voice_models.VoiceMetadata),
    (wire.MomentWire, voice_models.Moment),
    (wire.ThresholdsWire, voice_models.Thresholds),
    (wire.VoiceWire, voice_models.VoiceRecord),
    (wire.PowerTermsWire, partial_models.PowerTerms),
    (wire.PartialContributorWire, partial_models.PartialContributor),
    (wire.WorstChildWire, partial_models.WorstChild),
    (wire.GoneWire, partial_models.Gone),
    (wire.PartialWire, partial_models.PartialRecord),
    (wire.ProgressWire, partial_models.ProgressRecord),
]


VOICE = wire.VoiceWire(
    id="v-1",
    delta="voice_raised",
    dimension=1,
    omega=0.9,
    lambda_="page_owner",
    fractal_metadata=wire.VoiceMetadataWire(0.8, 0.1, 0.4, "data_contract"),
    subject="seam:data_contract",
    level=Level.SEAM,
    voice=VoiceName.ALARM,
    window_start=0,
    window_end=30_000,
    since=30_000,
    revision=0,
    episode_id="e-1",
    thresholds=wire.ThresholdsWire(0.7, 0.6, 0.3, 0.45, 0.5, 0.3, 0.7),
    recent=(),
    contributors=(),
)


def test_every_twin_is_compared():
    assert sorted(struct.__name__ for struct, _ in TWINS) == sorted(wire.__all__)


@pytest.mark.parametrize(("struct", "model"), TWINS, ids=[struct.__name__ for struct, _ in TWINS])
def test_a_twin_has_the_fields_of_its_model_in_the_same_order(struct, model: type[BaseModel]):
    names = [field.alias or name for name, field in model.model_fields.items()]
    tag = ["kind"] if struct.__struct_config__.tag else []
    assert tag + some.fields_of(struct) == names


def both_ways(record: msgspec.Struct, model: type[BaseModel], decode: Callable[[bytes], object]) -> None:
    value = encode(record)
    read = model.model_validate_json(value)
    assert decode(value) == record
    assert decode(read.model_dump_json(by_alias=True).encode()) == record
    assert decode(read.model_dump_json(by_alias=True, exclude_none=True).encode()) == record
    said = json.loads(value)
    assert said == {
        name: content for name, content in read.model_dump(mode="json", by_alias=True).items() if name in said
    }


@given(some.scores)
def test_model_and_twin_of_a_score_say_the_same(record):
    both_ways(record, score_models.ScoreRecord, decode_score)


@given(some.voices)
def test_model_and_twin_of_a_voice_say_the_same(record):
    both_ways(record, voice_models.VoiceRecord, decode_voice)


@given(some.partials)
def test_model_and_twin_of_a_partial_say_the_same(record):
    both_ways(record, partial_models.PartialRecord, decode_partial)


@given(some.progresses)
def test_model_and_twin_of_a_progress_say_the_same(record):
    both_ways(record, partial_models.ProgressRecord, decode_partial)


def test_a_voice_says_that_nothing_else_is_held():
    assert b'"also_held":[]' in encode(VOICE)
    both_ways(VOICE, voice_models.VoiceRecord, decode_voice)
