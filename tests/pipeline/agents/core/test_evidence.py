"""What was seen, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.core.evidence import Category, Evidence, Moment, Source, Verdict, Witness, classify, retry_after
from pipeline.agents.core.facts import SPEECH

CONNECTING, PROVING, PROVED = Moment.CONNECTING, Moment.PROVING, Moment.PROVED


@pytest.mark.parametrize(
    ("status", "challenged", "category", "delta"),
    [
        (200, False, Category.PROTOCOL, "transport_blocked"),
        (302, False, Category.PROTOCOL, "transport_blocked"),
        (400, False, Category.PROTOCOL, "transport_blocked"),
        (401, False, Category.AUTH, "auth_rejected"),
        (403, False, Category.PROTOCOL, "transport_blocked"),
        (403, True, Category.AUTH, "auth_rejected"),
        (404, False, Category.PROTOCOL, "transport_blocked"),
        (418, False, Category.UNKNOWN, "error_detected"),
        (426, False, Category.PROTOCOL, "transport_blocked"),
        (429, False, Category.RATE_LIMITED, "rate_limited"),
        (500, False, Category.SERVER, "connection_failed"),
        (501, False, Category.PROTOCOL, "transport_blocked"),
        (502, False, Category.SERVER, "connection_failed"),
        (503, False, Category.SERVER, "server_overload"),
        (504, False, Category.SERVER, "connection_failed"),
    ],
)
def test_each_status_of_a_refused_upgrade_has_its_category(status, challenged, category, delta):
    seen = Evidence(Source.HTTP, code=status, challenged=challenged, retry_after_ms=5)
    assert classify(seen, CONNECTING) == Verdict(category, delta, Witness.PEER, 5)


@pytest.mark.parametrize(
    ("code", "moment", "category", "delta"),
    [
        (1000, PROVED, Category.NETWORK, None),
        (1000, PROVING, Category.NETWORK, "connection_unproved"),
        (None, PROVED, Category.NETWORK, None),
        (1001, PROVED, Category.NETWORK, None),
        (1002, PROVED, Category.PROTOCOL, "protocol_violation"),
        (1003, PROVING, Category.PROTOCOL, "protocol_violation"),
        (1005, PROVED, Category.NETWORK, None),
        (1006, PROVED, Category.NETWORK, None),
        (1007, PROVED, Category.PROTOCOL, "protocol_violation"),
        (1008, PROVING, Category.AUTH, "auth_rejected"),
        (1008, PROVED, Category.MESSAGE, "protocol_violation"),
        (1009, PROVED, Category.MESSAGE, "protocol_violation"),
        (1010, PROVED, Category.PROTOCOL, "protocol_violation"),
        (1011, PROVED, Category.SERVER, "connection_failed"),
        (1012, PROVED, Category.SERVER, "connection_failed"),
        (1013, PROVED, Category.RATE_LIMITED, "server_overload"),
        (1014, PROVED, Category.SERVER, "connection_failed"),
        (1015, PROVED, Category.TLS, "tls_failed"),
        (3000, PROVED, Category.UNKNOWN, "error_detected"),
        (4401, PROVED, Category.AUTH, "auth_rejected"),
        (4403, PROVED, Category.AUTH, "auth_rejected"),
        (4408, PROVED, Category.TIMEOUT, "connection_timeout"),
        (4429, PROVED, Category.RATE_LIMITED, "rate_limited"),
        (4999, PROVED, Category.UNKNOWN, "error_detected"),
    ],
)
def test_each_close_code_of_the_peer_has_its_category(code, moment, category, delta):
    assert classify(Evidence(Source.PEER_CLOSE, code=code), moment) == Verdict(category, delta, Witness.PEER)


@pytest.mark.parametrize(
    ("source", "code", "category", "witness"),
    [
        (Source.SYSTEM, None, Category.NETWORK, Witness.SEEN),
        (Source.NAME, None, Category.DNS, Witness.SEEN),
        (Source.TLS, None, Category.TLS, Witness.SEEN),
        (Source.TIMER, None, Category.TIMEOUT, Witness.TIMER),
        (Source.LOCAL, None, Category.LOCAL, Witness.SEEN),
        (Source.UNKNOWN, None, Category.UNKNOWN, Witness.SEEN),
        (Source.OUR_CLOSE, 1009, Category.MESSAGE, Witness.SEEN),
        (Source.OUR_CLOSE, 1002, Category.PROTOCOL, Witness.SEEN),
    ],
)
def test_each_other_source_has_its_category(source, code, category, witness):
    verdict = classify(Evidence(source, code=code), CONNECTING)
    assert (verdict.category, verdict.witness) == (category, witness)


@given(
    st.builds(Evidence, source=st.sampled_from(Source), code=st.none() | st.integers(-5, 70_000)),
    st.sampled_from(Moment),
)
def test_any_evidence_gets_a_verdict_that_can_be_told(evidence, moment):
    verdict = classify(evidence, moment)
    assert verdict.delta in SPEECH or (verdict.delta is None and moment is PROVED)


@pytest.mark.parametrize(
    ("text", "date_s", "expected"),
    [
        (None, None, None),
        ("7", None, 7_000),
        (" 7 ", None, 7_000),
        ("0", None, 0),
        ("600", None, 600_000),
        ("601", None, 600_000),
        ("9" * 1_000_000, None, 600_000),
        ("-1", None, None),
        ("1.5", None, None),
        ("٣", None, None),
        ("soon", None, None),
        ("Tue, 24 Nov 2026 17:00:00 GMT", 1_010.0, 10_000),
        ("Tue, 24 Nov 2026 17:00:00 GMT", 990.0, 0),
        ("Tue, 24 Nov 2026 17:00:00 GMT", 10_000_000.0, 600_000),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds_and_never_garbage(text, date_s, expected):
    assert retry_after(text, now_s=1_000.0, date_s=date_s, cap_ms=600_000) == expected
