"""Which role may follow which."""

from itertools import product

import pytest

from quorate.core.single_leader.owned import Election
from quorate.core.single_leader.roles import AFTER, CANDIDATE, FOLLOWER, LEADER, PRE_CANDIDATE

REFUSED = {
    (FOLLOWER, LEADER),
    (PRE_CANDIDATE, LEADER),
    (CANDIDATE, CANDIDATE),
    (LEADER, PRE_CANDIDATE),
    (LEADER, CANDIDATE),
    (LEADER, LEADER),
}
"""Nobody leads without a vote, asks twice for votes in one epoch, or leads on when it stands."""


@pytest.mark.parametrize(("before", "role"), list(product(AFTER, AFTER)))
def test_a_role_follows_only_those_that_it_may(before: str, role: str) -> None:
    election = Election(1, 0, role=before)
    if (before, role) in REFUSED:
        with pytest.raises(AssertionError, match=f"a {before} becomes a {role}"):
            election.become(role)
    else:
        election.become(role)
        assert election.role == role
