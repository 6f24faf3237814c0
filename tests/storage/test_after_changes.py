"""What a connection remembers of a schema or of a full-text index must give way to what is there now."""

import pytest

from tests.storage.pair import Pair, read, run


@pytest.mark.parametrize("rows", [0, 1])
def test_returned_columns_are_those_of_the_schema_as_it_is(rows: int) -> None:
    pair = Pair()
    pair.do("CREATE TABLE t(a)", *["INSERT INTO t VALUES (1)"] * rows)
    changing = "UPDATE t SET a = 2 RETURNING *"
    assert pair.do(changing)[0].columns == (("a", None),)
    pair.do("ALTER TABLE t ADD COLUMN b INT")
    (result,) = pair.do(changing)
    assert result.columns == (("a", None), ("b", "INT"))
    assert result.rows == [(2, None)] * rows
    pair.leader.close()
    pair.follower.close()


def test_a_full_text_table_in_memory_is_whole_after_a_batch_that_was_put_aside() -> None:
    with Pair() as pair:
        pair.do("CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES ('one')")
        for word in ("two", "three"):
            payload, _ = pair.leader.execute([run(f"INSERT INTO f VALUES ('{word}')", token=pair.token())])
            assert read(pair.leader, "SELECT count(*) FROM f WHERE f MATCH ?", word) == [(0,)]
            assert payload is not None
            pair.commit(payload)
            assert pair.rows("SELECT count(*) FROM f WHERE f MATCH ?", word) == [(1,)]
            assert pair.rows("PRAGMA integrity_check") == [("ok",)]
