"""The books of the publisher: how an event ended, and that none is left out."""

from __future__ import annotations

import pytest
from kafka import errors

from iskra.chaos.ledger import Sent
from iskra.chaos.publishing import _ended, _Outcome

SENT_ONE = Sent(id="1-0", key="c-1", seq=0, sha256="", status="unknown")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.MessageSizeTooLargeError(), "fail"),
        (errors.InvalidTopicError(), "fail"),
        (errors.TopicAuthorizationFailedError(), "fail"),
        (errors.KafkaTimeoutError(), "unknown"),
        (errors.RequestTimedOutError(), "unknown"),
        (errors.NotEnoughReplicasAfterAppendError(), "unknown"),
        (errors.KafkaConnectionError(), "unknown"),
        (RuntimeError("whatever"), "unknown"),
    ],
)
def test_only_what_was_refused_by_name_has_failed(error: Exception, status: str):
    assert _ended(_Outcome(SENT_ONE, error)).status == status


def test_what_the_broker_took_has_its_place():
    class Place:
        partition, offset = 2, 17

    ended = _ended(_Outcome(SENT_ONE, None, Place()))
    assert (ended.status, ended.partition, ended.offset) == ("ok", 2, 17)
