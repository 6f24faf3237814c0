"""The roles of a replica, and which may follow which (Ongaro 2014, figure 3.3, with pre-vote)."""

FOLLOWER = "follower"
PRE_CANDIDATE = "pre_candidate"
CANDIDATE = "candidate"
LEADER = "leader"

AFTER = {
    FOLLOWER: (PRE_CANDIDATE, CANDIDATE),  # a candidate at once: it was told to stand (`election.on_stand_now`)
    PRE_CANDIDATE: (CANDIDATE, PRE_CANDIDATE, FOLLOWER),
    CANDIDATE: (LEADER, PRE_CANDIDATE, FOLLOWER),
    LEADER: (FOLLOWER,),
}
"""What a replica may become next. A follower may be told again to follow."""
