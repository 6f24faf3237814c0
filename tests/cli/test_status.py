import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from quorate.cli.cluster.status import as_text, combine
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.core.requests import GroupStatus, MemberStatus, StatusReport
from quorate.runtime.founding import found, local_members

OPTIONS = {"acks": "majority", "failover": "auto"}
MEMBERS = (
    MemberStatus(1, "n1", "h:1", alive=True),
    MemberStatus(2, "n2", "h:2", alive=True, trip_us=350, suspect_us=600_000),
    MemberStatus(3, "n3", "h:3", alive=False),
)


def report(node: int, role: str, epoch: int, committed: int, applied: int, leader: int = 1) -> StatusReport:
    group = GroupStatus(
        1, "main", 0, role, leader, epoch, committed + 1, committed, applied, 1, OPTIONS, speaks=role == "leader"
    )
    return StatusReport("c1", node, f"n{node}", 4, MEMBERS, (group,))


def test_the_answers_are_put_together() -> None:
    view = combine({"h:1": report(1, "leader", 5, 90, 90), "h:2": report(2, "follower", 5, 88, 70), "h:3": None})
    assert view.cluster == "c1"
    assert [(node.name, node.answers) for node in view.nodes] == [("n1", True), ("n2", True), ("n3", False)]
    (group,) = view.groups
    assert (group.leader, group.epoch, group.committed) == ("n1", 5, 90)
    assert [(replica.node, replica.lag) for replica in group.replicas] == [("n1", 0), ("n2", 20)]


def test_a_leader_of_an_earlier_epoch_is_not_believed() -> None:
    view = combine({"h:1": report(1, "leader", 4, 90, 90), "h:2": report(2, "leader", 5, 91, 91, leader=2)})
    assert view.groups[0].leader == "n2"


def test_a_database_that_any_node_answers_for_has_no_leader_and_lacks_none() -> None:
    """Whatever the words of its replication: `speaks` says who answers."""
    groups = [GroupStatus(2, "set", 0, "member", 0, 0, 7, 7, 7, 1, {}, voters=(1, 2), speaks=True)]
    view = combine({f"h:{node}": StatusReport("c1", node, f"n{node}", 4, MEMBERS, tuple(groups)) for node in (1, 2)})
    assert (view.groups[0].leader, view.groups[0].answered_for) == ("", True)
    line = next(line for line in as_text(view).splitlines() if line.startswith("set"))
    assert line.split()[2] == "any"
    assert line.endswith("n1 7, n2 7")


def test_without_a_leader_it_tells_who_missed_writes_and_when_all_agreed() -> None:
    """Each replica has a log of its own, so that no other one's is ahead of it."""
    options = {"w": "2", "r": "2"}
    first = GroupStatus(2, "carts", 0, "member", 0, 0, 9, 9, 9, 1, options, voters=(1, 2, 3), speaks=True)
    second = msgspec.structs.replace(first, last=4, committed=4, applied=4, hints=((3, 5),), agreed_us=2_000_000)
    first = msgspec.structs.replace(first, hints=((3, 7),), agreed_us=-1)
    groups = {1: first, 2: second}
    view = combine({f"h:{node}": StatusReport("c1", node, f"n{node}", 4, MEMBERS, (groups[node],)) for node in groups})
    (found,) = view.groups
    assert [replica.lag for replica in found.replicas] == [0, 0]
    assert (found.missing, found.agreed_us) == ({"n3": 7}, 2_000_000)
    text = as_text(view)
    assert "w 2, r 2" in text
    assert "carts: n3 has missed writes of 7 rows, which are kept for it" in text
    assert "carts: all replicas held the same 2.0s ago" in text


def test_the_text_names_what_is_wrong() -> None:
    text = as_text(combine({"h:1": report(1, "candidate", 5, 90, 90, leader=0), "h:3": None}))
    assert "no answer" in text
    assert "none" in text
    assert "n1 candidate 90" in text
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(
    ("age_us", "shown"),
    [
        (-1, ""), (0, " <=0ms"), (1, " <=1ms"), (999_000, " <=999ms"), (999_001, " <=1.0s"), (1_200_001, " <=1.3s"),
        (59_900_000, " <=59.9s"), (59_900_001, " <=1m"), (60_000_001, " <=2m"),
    ],
)  # fmt: skip
def test_the_text_shows_how_stale_a_replica_may_be_and_not_less(age_us: int, shown: str) -> None:
    follower = report(2, "follower", 5, 90, 70)
    follower = msgspec.structs.replace(follower, groups=(msgspec.structs.replace(follower.groups[0], age_us=age_us),))
    text = as_text(combine({"h:1": report(1, "leader", 5, 90, 90), "h:2": follower}))
    line = next(line for line in text.splitlines() if line.startswith("main"))
    assert line.endswith(f"n1 90, n2 70 -20{shown}")


def test_a_change_of_members_is_shown_and_a_replica_that_is_out_is_not() -> None:
    group = GroupStatus(
        1, "main", 0, "leader", 1, 5, 91, 90, 90, 1, OPTIONS, voters=(1, 2), learners=(3,), wanted=(1, 3), speaks=True
    )
    leader = StatusReport("c1", 1, "n1", 4, MEMBERS, (group,))
    left = GroupStatus(1, "main", 0, "follower", 1, 4, 7, 7, 7, 1, OPTIONS)
    out = StatusReport("c1", 9, "n9", 4, MEMBERS, (left,), removed=True)
    view = combine({"h:1": leader, "h:2": report(2, "follower", 5, 88, 70), "h:9": out})
    assert (view.groups[0].voters, view.groups[0].learners) == (("n1", "n2"), ("n3",))
    assert [replica.node for replica in view.groups[0].replicas] == ["n1", "n2"]
    text = as_text(view)
    assert "main: voters are to be n1, n3; n3 fetching what there is" in text
    assert "removed" in next(line for line in text.splitlines() if line.startswith("n9"))
    joint = msgspec.structs.replace(group, voters_next=(1, 3), learners=())
    text = as_text(combine({"h:1": msgspec.structs.replace(leader, groups=(joint,))}))
    assert "main: voters n1, n2 give way to n1, n3: a majority of both is needed" in text


def test_a_node_of_another_cluster_is_shown_as_such_and_what_it_says_is_left_out() -> None:
    stranger = msgspec.structs.replace(report(2, "leader", 9, 500, 500, leader=2), cluster="c2")
    view = combine({"h:1": report(1, "leader", 5, 90, 90), "h:2": stranger})
    assert (view.cluster, [node.stranger for node in view.nodes]) == ("c1", ["", "c2"])
    assert (view.groups[0].leader, len(view.groups[0].replicas)) == ("n1", 1)
    assert "h:2 is the address of a node of another cluster, c2" in as_text(view).splitlines()


def test_without_any_answer_the_exit_code_says_so(tmp_path: Path) -> None:
    found(tmp_path, local_members(2, "127.0.0.1"))
    result = CliRunner().invoke(main, ["status", "--cluster", str(tmp_path)])
    assert result.exit_code == Exit.UNAVAILABLE
    assert "no node answers" in result.stderr


def test_json_has_the_same_content() -> None:
    import msgspec

    view = combine({"h:1": report(1, "leader", 5, 90, 90)})
    decoded = json.loads(msgspec.json.encode(view))
    assert decoded["nodes"][0]["peers"][0] == {"node": "n2", "alive": True, "trip_us": 350, "suspect_us": 600_000}
    assert decoded["groups"][0]["replicas"][0] == {
        "node": "n1",
        "role": "leader",
        "last": 91,
        "applied": 90,
        "lag": 0,
        "verified": 0,
        "damage": "",
        "age_us": -1,
        "damaged": False,
    }


def test_the_text_says_which_node_refuses_clients() -> None:
    stale = msgspec.structs.replace(report(1, "leader", 5, 90, 90), logins_age_us=301_000_000, logins_stale=True)
    text = as_text(combine({"h:1": stale, "h:2": report(2, "follower", 5, 90, 90)}))
    assert [line for line in text.splitlines() if "refuses" in line] == [
        "n1 refuses clients: it has not heard from the catalog's leader for 301 s"
    ]
