"""Seeds that prove nothing fail: each check is shown a laboratory whose faults or callers were quietly switched off."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.faults import registry
from quorate.lab.sim.faults.registry import CHANCES, STRIKES
from quorate.lab.sim.scenarios.named import dials_of, simulate
from quorate.lab.sim.scenarios.purpose import AIMS, VACUOUS, Evidence
from quorate.lab.sim.workloads.client import Client


def nothing(*_arguments: Any) -> None:
    return None


def switch_off(dial: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the fault of this dial strike in vain."""
    faults = [msgspec.structs.replace(one, strike=nothing) if one.dial == dial else one for one in registry.FAULTS]
    monkeypatch.setattr(registry, "FAULTS", tuple(faults))


def evidence_of(scenario: str, seeds: range) -> Evidence:
    evidence = Evidence(scenario)
    for seed in seeds:
        report = simulate(seed, scenario, storage="model", skip=(VACUOUS,))
        assert report.ok, "\n".join(report.lines())
        evidence.add(report, dials_of(scenario, seed))
    return evidence


def test_seeds_that_see_what_they_are_for_miss_nothing() -> None:
    assert evidence_of("disks", range(8)).missing() == []


@pytest.mark.parametrize("fault", ["pause", "partition", "clock_jump"])
def test_a_fault_that_never_strikes_is_missed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(f"{fault}_us", monkeypatch)
    missing = evidence_of("mixed", range(12)).missing()
    assert len(missing) == 1
    assert missing[0].startswith(repr(fault.replace("_", " ")))
    assert f"({fault}_us), and never did" in missing[0]


def test_a_chance_that_never_comes_true_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "_may_crash", lambda *_arguments: False)
    missing = evidence_of("hasty", range(6)).missing()
    assert missing == ["'client crash' was likely in 6 runs (client_crash), and never happened"]


def test_a_network_that_repeats_nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Network.send

    def once(network: Network, source: int, target: int, payload: bytes) -> None:
        travel = network._travel
        sent: list[tuple[Any, ...]] = []

        def first(*arguments: Any) -> None:
            if not sent:
                sent.append(arguments)
                travel(*arguments)

        network._travel = first  # type: ignore[method-assign,assignment]
        network._world, world = Unmarked(network._world, "duplicated"), network._world  # type: ignore[assignment]
        send(network, source, target, payload)
        network._travel, network._world = travel, world  # type: ignore[method-assign]

    monkeypatch.setattr(Network, "send", once)
    missing = evidence_of("echoes", range(8)).missing()
    assert any(text.startswith("'duplicated' was likely in 8 runs") for text in missing), missing


class Unmarked:
    """A world that does not count one thing."""

    def __init__(self, world: Any, unseen: str) -> None:
        self._world = world
        self._unseen = unseen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def mark(self, name: str) -> None:
        if name != self._unseen:
            self._world.mark(name)


def test_a_scenario_that_does_not_see_what_it_is_for_is_missed() -> None:
    evidence = Evidence("damage")
    for seed in range(AIMS["damage"].seeds):
        evidence.add(simulate(seed, "calm", storage="model"), dials_of("calm", seed))
    missing = evidence.missing()
    assert any(text.startswith("'note: healed' happened 0 times") for text in missing), missing


@pytest.mark.parametrize(
    ("name", "replacement", "why"),
    [
        ("begin", nothing, "no caller began anything"),
        ("_answered", lambda client, call, _outcome: client._end(call, "info", None), "no operation succeeded"),
    ],
)
def test_a_run_in_which_nothing_happens_fails(
    name: str, replacement: Callable[..., Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, name, replacement)
    report = simulate(1, "calm")
    assert report.judge == VACUOUS
    assert report.message == f"the run proves nothing: {why}"


def test_the_command_fails_when_its_seeds_prove_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off("crash_us", monkeypatch)
    done = CliRunner().invoke(lab, ["run", "--scenario", "power", "--seeds", "8"])
    assert "these seeds prove too little: 'torn step' happened 0 times" in str(done.exception)
    assert "'torn step' happened 0 times, and should have 1 times at least" in done.stderr


def test_what_is_looked_for_can_be_drawn() -> None:
    """By `mixed`, or by a scenario of its own: some of it needs somebody who looks after the cluster."""
    scenarios = ("mixed", "divergence", "rolling", "planned", "members", "outdated", "drops", "permitted", "endless")
    drawn = [dials_of(scenario, seed) for scenario in scenarios for seed in range(60)]
    drawn += [dials_of(scenario, 0) for scenario in ("figure_eight", "users", "absences")]
    in_rows = {dial for row in registry.ROWS for dial in row.dials}
    for dial in (*STRIKES, *CHANCES):
        assert any(getattr(dials, dial) for dials in drawn) or dial in in_rows, dial
