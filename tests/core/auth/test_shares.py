"""What one user may cost: requests under way, their bytes, and the time of slow reads."""

from quorate.core.auth.shares import MINUTE_US, ReadTimes, Share, Shares

SECOND = 1_000_000


def error(share: Share, size: int) -> str:
    refused = share.take(size)
    if refused is None:
        return ""
    assert refused.retryable
    assert refused.again_us > 0
    return refused.error


def test_a_user_has_so_many_requests_under_way_and_others_have_their_own() -> None:
    shares = Shares(2, 1000)
    ann, bob = shares.of("ann"), shares.of("bob")
    assert [error(ann, 1), error(ann, 1), error(ann, 1)] == ["", "", "Overloaded"]
    assert not error(bob, 1)
    ann.give_back(1)
    assert not error(shares.of("ann"), 1)


def test_bytes_count_but_for_whoever_has_nothing_else_under_way() -> None:
    ann = Shares(10, 1000).of("ann")
    assert not error(ann, 5000)
    assert error(ann, 1) == "Overloaded"
    ann.give_back(5000)
    assert [error(ann, 600), error(ann, 400), error(ann, 1)] == ["", "", "Overloaded"]
    ann.give_back(600)
    ann.give_back(400)
    assert (ann.requests, ann.bytes) == (0, 0)


def test_reads_of_a_user_run_for_so_long_in_a_minute() -> None:
    times = ReadTimes(6 * SECOND)
    assert times.refusal("ann", 0) is None
    times.ran("ann", 6 * SECOND, 0)
    refused = times.refusal("ann", 0)
    assert refused is not None
    assert (refused.error, refused.retryable) == ("Overloaded", True)
    assert times.refusal("bob", 0) is None
    assert times.refusal("ann", refused.again_us) is None, "it is over when it says so"
    times.ran("ann", SECOND, SECOND)
    assert times.refusal("ann", SECOND) is not None
    assert times.refusal("ann", SECOND + MINUTE_US) is None
    times.refusal("ann", SECOND + 2 * MINUTE_US)
    assert not times.levels, "nobody is remembered for longer than that"


def test_without_a_bound_or_a_name_nothing_is_counted() -> None:
    for times, name in ((ReadTimes(), "ann"), (ReadTimes(1), "")):
        times.ran(name, MINUTE_US, 0)
        assert times.refusal(name, 0) is None
        assert not times.levels
