"""A cluster whose links run through the faulty proxies: a leader that nobody hears is replaced, and comes back."""

from pathlib import Path

from quorate.lab.nemesis.place import proxied
from quorate.lab.nemesis.proxy import Harm
from quorate.lab.nemesis.trial import Trial, wait_until


def test_a_leader_that_is_cut_off_is_replaced(tmp_path: Path) -> None:
    cluster, proxies = proxied(tmp_path / "cluster", 3, 0)
    try:
        with cluster:
            cluster.start_all()
            cluster.wait_ready(30.0)
            trial = Trial(cluster)
            trial.open_store()
            old = trial.leader()
            others = [name for name in cluster.names if name != old]
            proxies.harm([(old, other) for other in others], Harm("mute", hold=True))
            wait_until(lambda: trial.leader() != old, 20.0, "nobody took over")
            assert proxies.felt["mute"] > 0
            proxies.mend()
            trial.wait_level()
    finally:
        proxies.stop()
