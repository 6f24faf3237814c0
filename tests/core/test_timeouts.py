"""Times from measurements, by hand: the arithmetic of RFC 6298, floors and ceilings, whose fault a pause is."""

from quorate.core import kernel
from quorate.core.kernel import Now
from quorate.core.messages import Heartbeat, HeartbeatReply
from quorate.core.settings import Settings
from quorate.core.single_leader.messages import PreVote
from quorate.core.timeouts import Smoothed, Timing, election_us
from tests.core.harness import Cluster

SECOND = 1_000_000
SETTINGS = Settings()


def test_the_first_measurement_counts_for_all_and_later_ones_by_eighths() -> None:
    trip = Smoothed()
    trip.add(1_000)
    assert (trip.mean_us, trip.deviation_us, trip.bound_us) == (1_000, 500, 3_000)
    trip.add(9_000)
    assert (trip.mean_us, trip.deviation_us) == (2_000, 500 + (8_000 - 500) // 4)
    for _ in range(100):
        trip.add(1_000)
    assert 1_000 <= trip.mean_us < 1_020
    assert trip.bound_us < 1_200, "what was long ago is forgotten"


def test_a_quick_and_even_network_is_suspected_at_the_floor() -> None:
    timing = Timing(SETTINGS)
    for beat in range(1, 50):
        timing.beat(beat * SETTINGS.heartbeat_us)
        timing.answered(500)
    assert timing.suspect_us == SETTINGS.suspect_us
    assert timing.retry_us == SETTINGS.retry_us
    assert election_us(SETTINGS, [timing, timing], 1) == SETTINGS.election_us


def test_long_round_trips_lengthen_all_three_times() -> None:
    timing = Timing(SETTINGS)
    for _ in range(50):
        timing.answered(400_000)
    assert 3 * SETTINGS.heartbeat_us + 400_000 <= timing.suspect_us < 3 * SETTINGS.heartbeat_us + 420_000
    assert 2 * 400_000 <= timing.retry_us < 2 * 420_000
    assert election_us(SETTINGS, [timing], 1) == 150_000 * 5, "its ceiling: the factor by which suspicion may grow"


def test_late_heartbeats_lengthen_suspicion_and_only_that() -> None:
    timing = Timing(SETTINGS)
    now_us = SECOND
    for beat in range(40):
        now_us += SETTINGS.heartbeat_us + (300_000 if beat % 2 else 0)
        timing.beat(now_us)
    assert timing.suspect_us > 3 * SETTINGS.heartbeat_us + 300_000
    assert timing.retry_us == SETTINGS.retry_us


def test_nothing_is_waited_for_longer_than_the_ceiling() -> None:
    timing = Timing(SETTINGS)
    timing.answered(60 * SECOND)
    assert timing.suspect_us == SETTINGS.suspect_max_us
    assert timing.retry_us == SETTINGS.retry_us * 5
    fixed = Timing(Settings(suspect_max_us=600_000))
    fixed.answered(60 * SECOND)
    assert (fixed.suspect_us, fixed.retry_us) == (600_000, 200_000)


def test_a_candidate_waits_for_the_quickest_that_make_a_majority() -> None:
    timings = []
    for trip_us in (100_000, 1_000, 200_000, 1_000):
        timings.append(Timing(SETTINGS))
        for _ in range(60):
            timings[-1].answered(trip_us)
    assert election_us(SETTINGS, timings, 2) == SETTINGS.election_us, "two quick ones are enough of five nodes"
    assert 200_000 <= election_us(SETTINGS, timings, 3) < 230_000
    assert 400_000 <= election_us(SETTINGS, timings[:1] + timings[2:3], 2) < 450_000, "the others are dead"


def test_time_in_which_nobody_ran_is_nobodys_silence() -> None:
    """All nodes are stopped for five seconds; whoever wakes first must not take the others for dead."""
    cluster = Cluster()
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    epochs = {number: machine.node.groups[1].election.epoch for number, machine in cluster.machines.items()}
    cluster.now_us += 5 * SECOND
    for machine in cluster.machines.values():
        machine.feed(kernel.Wake())
        assert all(machine.node.liveness.alive().values())
    assert not [message for _, _, message in cluster.messages if isinstance(message, PreVote)]
    cluster.run(2 * SECOND)
    assert cluster.leader() is leader
    assert {number: machine.node.groups[1].election.epoch for number, machine in cluster.machines.items()} == epochs


def test_a_node_that_runs_and_hears_nothing_suspects_as_ever() -> None:
    cluster = Cluster()
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    leader.crash()
    cluster.run(SETTINGS.suspect_us + 200_000)
    assert all(
        not machine.node.liveness.alive()[leader.number] for machine in cluster.machines.values() if machine.alive
    )
    cluster.run(SECOND)
    assert cluster.leader() is not leader


def test_an_answer_to_what_was_sent_before_a_pause_measures_nothing() -> None:
    cluster = Cluster()
    cluster.run(2 * SECOND)
    node, peer = cluster.machines[1].node, cluster.machines[1].node.liveness.peers[2]
    before = peer.timing.trip.samples
    sequence = node.liveness.sequence
    assert before > 5
    node.step(Now(cluster.now_us + 3 * SECOND), kernel.Deliver(2, HeartbeatReply(sequence, node.boot)))
    assert peer.timing.trip.samples == before
    node.step(Now(cluster.now_us + 3 * SECOND), kernel.Wake())
    heartbeat = Heartbeat(1, 1, begun_us=node.liveness.lives.newest[2].begun_us)
    effects = node.step(Now(cluster.now_us + 3 * SECOND + 7_000), kernel.Deliver(2, heartbeat))
    assert any(isinstance(effect, kernel.Send) for effect in effects)
    reply = HeartbeatReply(node.liveness.sequence, node.boot)
    node.step(Now(cluster.now_us + 3 * SECOND + 9_000), kernel.Deliver(2, reply))
    assert peer.timing.trip.samples == before + 1


def test_status_says_what_was_measured() -> None:
    cluster = Cluster()
    cluster.run(2 * SECOND)
    members = {member.node: member for member in cluster.machines[1].node.status().members}
    assert members[1].suspect_us == 0
    assert members[2].suspect_us == SETTINGS.suspect_us
