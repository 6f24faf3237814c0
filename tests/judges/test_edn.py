"""EDN is read, and histories in either form come out the same."""

import math
import random
from typing import Any

import msgspec
import pytest
from tests.judges.worlds import lists

from quorate.lab.judges.edn import read_all
from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK, HistoryError
from quorate.lab.judges.jepsen import Op, join, read, to_history
from quorate.lab.judges.values import Map, freeze


def one(text: str) -> Any:
    (value,) = read_all(text)
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        (":append", "append"),
        (":jepsen.txn/r", "jepsen.txn/r"),
        ("symbol", "symbol"),
        ("-12", -12),
        ("12N", 12),
        ("1.5e3", 1500.0),
        ("2.5M", 2.5),
        ("1/2", 0.5),
        ("##Inf", math.inf),
        (r'"a \"b\" \n \u0041"', 'a "b" \n A'),
        ("\\a", "a"),
        ("\\newline", "\n"),
        ("[1 2,,3]", [1, 2, 3]),
        ("(1 [2 ()] )", [1, [2, []]]),
        ("#{1 2}", frozenset({1, 2})),
        ("#{[1 2] {:a 1}}", frozenset({(1, 2), Map({("a", 1)})})),
        ("{:a 1 :b [nil]}", {"a": 1, "b": [None]}),
        ("{1 97, 2 0}", {1: 97, 2: 0}),
        ('#inst "2020-01-01"', "2020-01-01"),
        ("#jepsen.history.Op{:type :ok}", {"type": "ok"}),
        ("#a/b #c [1]", [1]),
        ("[1 #_ 2 3]", [1, 3]),
        ("[#_ #_ 1 2 3]", [3]),
        ("[#_ [4 {:a 5}] 6]", [6]),
        ("^{:doc 1} [7]", [7]),
        ("[1 ; two\n 3]", [1, 3]),
        ("{:a :b:c}", {"a": "b:c"}),
    ],
)
def test_every_kind_of_value_is_read(text: str, value: Any) -> None:
    assert one(text) == value


@pytest.mark.parametrize("text", ["[1", "1]", "[1)", "{:a}", '"open', "#{1]"])
def test_what_is_not_edn_is_refused(text: str) -> None:
    with pytest.raises(HistoryError):
        list(read_all(text))


def test_frozen_values_can_be_keys() -> None:
    assert len({freeze([1, [2]]), freeze((1, (2,))), freeze({"a": [1]}), freeze({3})}) == 3


def as_edn(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + " ".join(f":{key} {as_edn(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(as_edn, value)) + "]"
    return "nil" if value is None else f":{value}" if isinstance(value, str) else str(value)


def told(ops: list[Op]) -> list[tuple[Any, ...]]:
    return [(op.process, op.f, op.value, op.result, op.end, op.start, op.stop) for op in ops]


def test_all_forms_of_one_history_are_the_same() -> None:
    rows = lists(random.Random("forms"), 60, unsure=0.1, failing=0.1)
    wanted = told(join(rows))
    json_lines = b"\n".join(msgspec.json.encode(row) for row in rows)
    edn = "\n".join(as_edn(row) for row in rows)
    forms = [
        msgspec.json.encode(rows),
        json_lines,
        json_lines.replace(b"}\n", b"},\n"),
        edn.encode(),
        f"; recorded by hand\n[{edn}]".encode(),
        f"({edn.replace(' :f', ', :f')})".encode(),
    ]
    for form in forms:
        assert told(read(form)) == wanted


def test_the_nemesis_is_no_caller_and_an_operation_without_an_end_is_uncertain() -> None:
    ops = read(
        b"{:process :nemesis :type :info :f :kill :value nil}\n"
        b"{:process 0 :type :invoke :f :read} {:process 1 :type :invoke :f :add :value 1}\n"
        b"{:process 1 :type :fail :f :add :value 1}"
    )
    assert [(op.process, op.end, op.stop) for op in ops] == [(0, INFO, FOREVER), (1, FAIL, 2 + 0)]


def test_at_equal_times_beginnings_come_first_even_for_one_process() -> None:
    rows = [
        {"process": 0, "type": "invoke", "f": "write", "value": 1, "time": 5},
        {"process": 0, "type": "ok", "f": "write", "value": 1, "time": 7},
        {"process": 0, "type": "invoke", "f": "read", "value": None, "time": 7},
        {"process": 0, "type": "ok", "f": "read", "value": 1, "time": 9},
    ]
    write, seen = join(rows)
    assert seen.start < write.stop
    assert (write.end, seen.result) == (OK, 1)


def test_numbers_decide_where_times_were_taken_a_little_apart() -> None:
    rows = [
        {"process": 0, "type": "invoke", "f": "write", "value": 1, "time": 6, "index": 0},
        {"process": 0, "type": "ok", "f": "write", "value": 1, "time": 9, "index": 1},
        {"process": 1, "type": "invoke", "f": "read", "value": None, "time": 8, "index": 2},
    ]
    write, seen = join(rows)
    assert write.stop < seen.start
    write, seen = join([{**row, "index": None} for row in rows])
    assert write.stop > seen.start


def test_an_end_without_a_beginning_may_have_begun_at_any_time() -> None:
    (op,) = join([{"process": 0, "type": "ok", "f": "txn", "value": [["r", 1, []]]}])
    assert (op.start, op.end) == (-1, OK)


def test_operations_without_processes_are_joined_by_what_they_asked() -> None:
    ops = read(b"{:type :invoke :f :read} {:type :invoke :f :write :value 4} {:type :ok :f :write :value 4}"
               b"{:type :ok :f :read :value #{4}}")  # fmt: skip
    assert [(op.f, op.start, op.stop, op.result) for op in ops] == [("read", 0, 3, frozenset({4})), ("write", 1, 2, 4)]


def test_pairs_of_key_and_value_become_keys() -> None:
    ops = read(b'{"process":1,"type":"invoke","f":"read","value":["k",null]}\n'
               b'{"process":1,"type":"ok","f":"read","value":["k",3]}')  # fmt: skip
    (operation,) = to_history(ops, keyed=True)
    assert (operation.key, operation.value, operation.result) == ("k", None, 3)
    with pytest.raises(HistoryError, match="not a pair"):
        to_history(read(b'{"process":1,"type":"invoke","f":"write","value":3}'), keyed=True)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1, 2]", b'{"process": 0, "type": "maybe"}', b"{:type :perhaps}"])
def test_what_is_no_history_is_refused(content: bytes) -> None:
    with pytest.raises(HistoryError):
        read(content)


def test_an_empty_file_is_an_empty_history() -> None:
    assert read(b"") == read(b"[]") == read(b" \n") == []


def test_letters_records_and_spaces_of_names() -> None:
    assert list(read_all(r"[\u00e9 \u0041 \o101 \a \newline \,]")) == [["é", "A", "A", "a", "\n", ","]]
    text = "#:jepsen{:a 1} #::{:b 2} #jepsen.history.Op{:index 0, :f :read}"
    assert list(read_all(text)) == [{"a": 1}, {"b": 2}, {"index": 0, "f": "read"}]


@pytest.mark.parametrize("colon", ["", ":"])
def test_keywords_in_json_may_keep_their_colon(colon: str) -> None:
    text = """[{"@type": ":invoke", "@process": 0, "@f": ":txn", "@value": [[":append", ":x", 1]]},
               {"@type": ":ok", "@process": 0, "@f": ":txn", "@value": [[":append", ":x", 1]]}]"""
    op = read(text.replace("@", colon).encode())[0]
    assert (op.f, op.end, op.result) == ("txn", "ok", [["append", "x", 1]])
