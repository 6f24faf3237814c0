"""The generator by itself: repeatable, and hardly ever wrong about SQL. No replica is needed for that."""

import re
from collections import Counter
from pathlib import Path
from random import Random

from quorate.core.statements import Failed, Statement
from quorate.lab.fuzz.campaign import EXPECTED, HAPPENED, Totals
from quorate.lab.fuzz.drawing import Writer
from quorate.lab.fuzz.script import Batch, Move, Script, lines, load, save
from quorate.lab.sql.draw import Drawer
from quorate.lab.sql.shape import Drawn
from quorate.storage.plain.run import ENDLESS, Asked, PlainRun


def draw(seed: int, count: int) -> tuple[list[Drawn], Counter[str], Counter[str]]:
    """Statements of a seed run on plain SQLite: all of them, what worked, and why others did not."""
    drawer, plain = Drawer(Random(seed)), PlainRun()
    drawn: list[Drawn] = []
    worked: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    pending = drawer.schema()
    for _ in range(count):
        each = pending.pop(0) if pending else drawer.statement()
        drawn.append(each)
        (heard,) = plain.run([Asked((Statement(each.sql, each.sets, each.many),))])
        plain.commit()
        if heard and isinstance(heard[-1], Failed):
            failures[heard[-1].message.split()[0]] += 1
        else:
            worked.update(each.features)
            drawer.learn(each)
    plain.close()
    return drawn, worked, failures


def test_the_same_dice_give_the_same_statements() -> None:
    first, second = draw(7, 60)[0], draw(7, 60)[0]
    assert [(each.sql, each.sets) for each in first] == [(each.sql, each.sets) for each in second]
    assert [each.sql for each in draw(8, 60)[0]] != [each.sql for each in first]


def test_most_statements_mean_something() -> None:
    worked: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    total = 0
    for seed in range(40):
        drawn, good, bad = draw(seed, 40)
        total += len(drawn)
        worked += good
        failures += bad
    assert failures.total() < total * 0.35, failures.most_common(5)
    assert failures["near"] == 0, "a statement is no SQL at all"
    assert len(worked) > 90


def drawn_kinds(seed: int) -> set[str]:
    """Every kind in one seed's schema and statements, as if all of them had worked."""
    writer, found = Writer(seed), set()
    while (step := writer.step()) is not None:
        found.add(step.kind if isinstance(step, Move) else f"end: {step.end}")
        for request in writer.requests:
            for each in request.statements:
                writer.learn(each)
                found.update(each.features)
    return found


def test_no_kind_is_never_drawn() -> None:
    missing = set(EXPECTED) - set(HAPPENED)
    for seed in range(400):
        missing -= drawn_kinds(seed)
    assert not missing


def test_the_page_says_how_often_each_kind_occurred() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "sql-fuzz.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d,]+) \|$", page, re.MULTILINE))
    assert set(rows) == set(EXPECTED)
    assert "0" not in rows.values()


def test_a_script_survives_its_file(tmp_path: Path) -> None:
    odd = Statement("SELECT ?, ?, ?", ((b"\xff", float("inf"), "a\0b"), (-0.0, None, 2**63 - 1)), many=True)
    script = Script(3, True, (Batch(((Asked((odd,), held=True),),), "crash", 5), Move("power", 1, 7)))
    save(script, tmp_path / "script.json")
    assert repr(load(tmp_path / "script.json")) == repr(script)
    assert "power (replica 1, 7)" in lines(script)


def test_plain_sqlite_undoes_a_request_whole() -> None:
    plain = PlainRun()
    both = Asked((Statement("CREATE TABLE t(a UNIQUE)"), Statement("INSERT INTO t VALUES (1)")))
    broken = Asked((Statement("INSERT INTO t VALUES (2)"), Statement("INSERT OR ROLLBACK INTO t VALUES (1)")))
    heard = plain.run([both, broken, Asked((Statement("SELECT a FROM t"),))])
    assert isinstance(heard[1][0], Failed)
    assert heard[1][0].statement == 1
    assert not isinstance(heard[2][0], Failed)
    assert heard[2][0].rows == [(1,)]
    plain.undo()
    (told,) = plain.run([Asked((Statement("SELECT count(*) FROM sqlite_schema"),))])
    assert not isinstance(told[0], Failed)
    assert told[0].rows == [(0,)]
    plain.close()


def test_what_takes_too_long_is_left_out() -> None:
    plain = PlainRun()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert plain.run([Asked((Statement(endless),))]) == [(ENDLESS,)]
    plain.close()


def test_seeds_that_prove_too_little_say_what_is_missing() -> None:
    totals = Totals()
    assert totals.missing() == []
    totals.seeds = 1_000
    assert "FTS5" in totals.missing()
