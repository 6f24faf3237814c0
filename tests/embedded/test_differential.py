"""Short programs on `sqlite3` and on Quorate give the same, but for what docs/coming-from-sqlite3.md says."""

from pathlib import Path

import pytest
from tests.embedded.programs import PIECES, Heard, Program, Step, on_quorate, on_sqlite3, programs

PROGRAMS = list(programs())
SHARES = 16

_CLASSES = {
    "OperationalError": ("OperationalError", "ProgrammingError"),  # no such table, syntax
    "ProgrammingError": ("ProgrammingError", "DataError"),  # a type that SQLite cannot hold
    "InterfaceError": ("DataError",),  # the same before Python 3.12
    "OverflowError": ("DataError",),
    "Warning": ("ProgrammingError",),  # two statements at once, before Python 3.12
}
"""What `sqlite3` raises, and what may be raised here."""


def compare(program: Program, target: str) -> None:
    """The same is heard of each step."""
    last, left = "", False
    heard = zip(program.steps, on_sqlite3(program), on_quorate(program, target), strict=True)
    for step, there, here in heard:
        last = step[1] if step[0] in ("execute", "executemany") else last
        left = left or "OR FAIL" in last or (step[0] == "executemany" and there.error != "")
        agree(program, step, there, here, last=last, left=left)


def agree(program: Program, step: Step, there: Heard, here: Heard, *, last: str, left: bool) -> None:
    """The same was heard of a step. `last`: the statement that ran last; `left`: `sqlite3` keeps what a failed
    statement had done by then."""
    said = f"{program.name}: {step}: {there} and {here}"
    fetches = step[0].startswith("fetch")
    if fetches and not there.names and not there.error:
        assert there.value in ([], None), said
        assert here.error == "ProgrammingError", f"nothing to fetch: {said}"
        return
    assert here.error in _CLASSES.get(there.error, (there.error,)), said
    assert here.names == there.names, said
    counters = "last_insert_rowid()" in last or "changes()" in last
    if not (counters and program.autocommit) and not left:
        assert here.value == there.value, said
    if "RETURNING" not in last and not last.startswith("WITH"):
        assert here.rowcount == there.rowcount, said
    if step[0] == "execute" and last.startswith(("INSERT INTO", "REPLACE")) and there.rowcount > 0:
        assert here.lastrowid in (there.lastrowid, None), said
        none = (program.schema == "keyed" and "INTO t" in last) or "ON CONFLICT" in last
        assert (here.lastrowid is None) == none, said
    if program.autocommit:
        assert here.in_transaction == there.in_transaction, said


@pytest.mark.parametrize("share", range(SHARES))
def test_short_programs_agree(share: int) -> None:
    for program in PROGRAMS[share::SHARES]:
        compare(program, ":memory:")


def test_short_programs_agree_on_a_folder(tmp_path: Path) -> None:
    for number, program in enumerate(PROGRAMS[5::25]):
        compare(program, str(tmp_path / str(number)))


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 300
    assert {piece.replace(" ", "_") for piece in PIECES} == {each.name.split("-")[2] for each in PROGRAMS}


def test_without_autocommit_a_transaction_is_open_once_a_statement_has_run() -> None:
    steps: list[Step] = [("commit",), ("execute", "SELECT 1"), ("commit",), ("execute", "DELETE FROM t"), ("rollback",)]
    program = Program("", "plain", autocommit=False, steps=steps)
    assert [heard.in_transaction for heard in on_quorate(program, ":memory:")] == [False, True, False, True, False]
    assert all(heard.in_transaction for heard in on_sqlite3(program))


def test_executemany_is_all_or_nothing() -> None:
    steps: list[Step] = [
        *PIECES["many that fail"][:1],
        ("execute", "SELECT count(*) FROM t WHERE k = 11"),
        ("fetchone",),
    ]
    program = Program("", "plain", autocommit=True, steps=steps)
    assert on_quorate(program, ":memory:")[-1].value == (0,)
    assert on_sqlite3(program)[-1].value == (1,)


def test_a_statement_that_begins_with_with_counts_its_rows() -> None:
    program = Program("", "plain", autocommit=True, steps=PIECES["with"][:1])
    assert (on_quorate(program, ":memory:")[0].rowcount, on_sqlite3(program)[0].rowcount) == (2, -1)


def test_what_a_statement_may_leave_behind_when_it_fails() -> None:
    steps: list[Step] = [*PIECES["or fail"][:1], ("execute", "SELECT count(*) FROM t WHERE k = 41"), ("fetchone",)]
    program = Program("", "plain", autocommit=True, steps=steps)
    assert on_quorate(program, ":memory:")[-1].value == (0,), "a failed statement is undone whole"
    assert on_sqlite3(program)[-1].value == (1,)


def test_counters_belong_to_a_request_or_transaction() -> None:
    steps: list[Step] = PIECES["next key"][:3]
    given = {}
    for autocommit in (True, False):
        program = Program("", "plain", autocommit=autocommit, steps=steps)
        given[autocommit] = on_quorate(program, ":memory:")[-1].value
        assert on_sqlite3(program)[-1].value == (4,)
    assert given == {True: (0,), False: (4,)}


def test_a_rowid_is_that_of_the_statement() -> None:
    steps: list[Step] = [PIECES["insert"][0], PIECES["update"][0], PIECES["many"][0], PIECES["returning"][0]]
    program = Program("", "plain", autocommit=True, steps=steps)
    here, there = on_quorate(program, ":memory:"), on_sqlite3(program)
    assert [heard.lastrowid for heard in here] == [7, None, 13, 22]
    assert [heard.lastrowid for heard in there] == [7, 7, 7, 22]
    assert (here[3].rowcount, there[3].rowcount) == (2, 0), "there, when the rows are fetched"
