"""A read that found nothing: what its caller is told, and what becomes of the replica."""

import pytest

import quorate
from quorate.core.entries import ORIGIN
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG
from quorate.core.querying import ANSWER_BYTES_MAX, BROKE, DAMAGED, NO_ROOM, Query, QueryFailed, answer, refusal
from quorate.core.requests import Answer, Refused
from tests.core.harness import Cluster

SECOND = 1_000_000
WHYS = {
    DAMAGED: quorate.Unavailable,
    NO_ROOM: quorate.Unavailable,
    AT_ITS_END: quorate.StatementTimeout,
    TOO_LONG: quorate.StatementTimeout,
    INTERRUPTED: quorate.StatementTimeout,
    BROKE: quorate.InternalError,
}


@pytest.mark.parametrize("why", WHYS)
def test_each_reason_has_its_error_and_only_damage_condemns(why: str) -> None:
    cluster = Cluster()
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    key = (leader.number, 1000)
    cluster.replies[key] = None
    leader.feed(QueryFailed(1, 1000, why, "so it is"))
    told = cluster.replies[key]
    assert isinstance(told, Refused)
    assert getattr(quorate, told.error) is WHYS[why]
    assert told.retryable is (WHYS[why] is not quorate.StatementTimeout), "elsewhere it would take as long"
    assert leader.node.groups[1].damaged == ("so it is" if why == DAMAGED else "")


def test_a_read_of_a_group_that_is_gone_is_answered_all_the_same() -> None:
    cluster = Cluster()
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    key = (leader.number, 1000)
    cluster.replies[key] = None
    leader.feed(QueryFailed(77, 1000, DAMAGED, "it was dropped"))
    assert cluster.replies[key] == refusal(QueryFailed(77, 1000, DAMAGED))


def test_only_what_fits_into_a_frame_is_an_answer() -> None:
    query = Query(1, 1, ())
    assert isinstance(answer(query, bytes(ANSWER_BYTES_MAX), ORIGIN), Answer)
    told = answer(query, bytes(ANSWER_BYTES_MAX + 1), ORIGIN)
    assert isinstance(told, Refused)
    assert told.error == "TooLarge"
