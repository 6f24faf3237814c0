"""Gossip in rounds, against what was measured and proved elsewhere."""

from random import Random
from statistics import median

import pytest
from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.cli.output import Exit
from quorate.lab.models.gossip import Exchange, Variant, doubling, pittel, spread


def rounds(replicas: int, variant: Variant, runs: int = 15) -> float:
    return median(spread(replicas, variant, Random(f"{variant.name} {run}")).rounds for run in range(runs))


def test_one_tells_the_other() -> None:
    for exchange in Exchange:
        found = spread(2, Variant(exchange), Random(0))
        assert (found.informed, found.rounds) == ((1, 2), 1)
    assert spread(2, Variant(Exchange.PUSH), Random(0)).contacts == 1
    assert spread(2, Variant(Exchange.PUSH_PULL), Random(0)).contacts == 2


def test_nobody_forgets_and_all_hear() -> None:
    found = spread(300, Variant(Exchange.PUSH, 1, 0.5), Random(4))
    assert found.informed[0] == 1
    assert found.informed[-1] == 300
    assert list(found.informed) == sorted(found.informed)
    assert all(after <= 2 * before for before, after in zip(found.informed, found.informed[1:], strict=False))


@pytest.mark.parametrize(
    ("variant", "least", "most"),
    [
        (Variant(Exchange.PUSH), 17, 19),
        (Variant(Exchange.PUSH, 2), 10, 12),
        (Variant(Exchange.PUSH_PULL), 8, 10),
        (Variant(Exchange.PULL), 13, 17),
    ],
    ids=lambda each: each.name if isinstance(each, Variant) else None,
)
def test_a_thousand_replicas(variant: Variant, least: int, most: int) -> None:
    assert least <= rounds(1000, variant) <= most


def test_push_takes_what_pittel_proved() -> None:
    assert rounds(2000, Variant(Exchange.PUSH)) == pytest.approx(pittel(2000), abs=2)


def test_loss_costs_rounds() -> None:
    quick, slow = (rounds(1000, Variant(Exchange.PUSH_PULL, 1, loss)) for loss in (0.0, 0.5))
    assert slow > 1.5 * quick


def test_the_textbook() -> None:
    assert doubling(100_000) == 17
    assert doubling(100_000) * 3 == 51
    assert pittel(100_000) == pytest.approx(28.1, abs=0.05)
    assert doubling(2) == 1


@pytest.mark.parametrize("variant", [Variant(Exchange.PUSH, 0), Variant(Exchange.PUSH, 1, 1.0)])
def test_what_cannot_be_is_refused(variant: Variant) -> None:
    with pytest.raises(ValueError, match="the loss must be"):
        spread(10, variant, Random(0))
    with pytest.raises(ValueError, match="at least two"):
        spread(1, Variant(Exchange.PUSH), Random(0))


def test_the_command(tmp_path_factory: pytest.TempPathFactory) -> None:
    picture = tmp_path_factory.mktemp("gossip") / "spread.svg"
    done = CliRunner().invoke(lab, ["gossip", "--replicas", "200", "--runs", "3", "--svg", str(picture)])
    assert done.exit_code == Exit.OK, done.output
    assert "log2 N = 8 rounds, 24 s" in done.stdout
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[1:4]] == ["push", "push, fan-out 2", "push-pull"]
    assert "Who has heard, of 200 replicas" in picture.read_text()
    again = CliRunner().invoke(lab, ["gossip", "--replicas", "200", "--runs", "3"])
    assert again.stdout == done.stdout
