"""How long a dial may take, behind others that were too short."""

from quorate.client.links import DIAL_LATE_MAX, DIAL_MAX, Patience


def test_it_doubles_behind_each_that_ran_out_of_time() -> None:
    patience = Patience()
    assert patience.seconds("a:1", 0.3, 30.0) == 0.3
    assert patience.seconds("a:1", 9.0, 30.0) == DIAL_MAX
    patience.late("a:1", 0.3)
    assert patience.seconds("a:1", 0.3, 30.0) == 0.6
    patience.late("a:1", 0.1)
    assert patience.seconds("a:1", 0.3, 30.0) == 0.6
    for _ in range(9):
        patience.late("a:1", patience.seconds("a:1", 0.3, 30.0))
    assert patience.seconds("a:1", 0.3, 30.0) == DIAL_LATE_MAX
    assert patience.seconds("a:1", 0.3, 2.0) == 2.0, "no longer than its caller waits"
    assert patience.seconds("b:1", 0.3, 30.0) == 0.3, "of one address nothing follows for another"
    patience.connected("a:1")
    assert patience.seconds("a:1", 0.3, 30.0) == 0.3
