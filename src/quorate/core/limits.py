"""How large anything may be: the one table, for every way in and every way out. Sizes in bytes.

Each number follows from the frame, which is what one message between two nodes can carry, so that whatever can be
written can be read, exported, imported, shipped to a follower and copied to a new one:

    frame 64 MiB > entry 49 MiB = changes of 48 MiB, with the outcome and the token of one request
    changes 48 MiB >= two rows (an UPDATE carries what was and what is), or the values of a request and half more
    request 32 MiB >= a row of 16 MiB and a text of 8 MiB
    result 32 MiB >= a row of 16 MiB, twice

`docs/limits.md` is this table for users; `storage/data/connection.py` hands it to SQLite.
"""

from typing import Final

from quorate.sql.classify import TEXT_BYTES_MAX

MIB: Final = 1 << 20

FRAME_BYTES_MAX: Final = 64 * MIB
"""One message. Whatever may be longer travels in chunks."""

ROW_BYTES_MAX: Final = 16 * MIB
"""A row as SQLite stores it, and with it each value: a value may fill its row. So is every value that a write computes
on its way (SQLITE_LIMIT_LENGTH)."""

SQL_BYTES_MAX: Final = TEXT_BYTES_MAX
"""The text of one statement, in UTF-8: 8 MiB."""

REQUEST_BYTES_MAX: Final = 32 * MIB
"""Texts and parameters of one request, of all its statements, as `core.weights` counts them."""

CAPTURED_BYTES_MAX: Final = 48 * MIB
"""The changed rows that one request, or one interactive transaction, puts into its entry."""

ENTRY_BYTES_MAX: Final = CAPTURED_BYTES_MAX + MIB
"""An entry of the log: the changes, and what is remembered of its requests."""

IMAGES_BYTES_MAX: Final = 512 * MIB
"""What the rows that one request changes held before, kept in memory until it has run."""

RESULT_BYTES_MAX: Final = 32 * MIB
"""What one request answers, encoded: of a read, of a RETURNING clause, of a batch."""

COMPUTED_BYTES_MAX: Final = ENTRY_BYTES_MAX
"""A value, or a row for sorting, that a read computes on its way: sorting puts a row and its keys into one record. Our
own rows keep what an entry said to its callers, and are no larger either."""

PARAMETERS_MAX: Final = 32_766
"""Parameters of one statement in one set. SQLite's own default, fixed here so that no build differs."""

COLUMNS_MAX: Final = 2_000
"""Columns of a table, an index, a result or a SET clause. As above."""

PATTERN_BYTES_MAX: Final = 50_000
"""The pattern of LIKE or GLOB. As above."""

EXPRESSION_DEPTH_MAX: Final = 1_000
"""How deeply expressions are nested. As above."""

COMPOUND_MAX: Final = 500
"""SELECTs that UNION and its like put together. As above."""

TRIGGER_DEPTH_MAX: Final = 1_000
"""How many triggers may set off one another. As above."""
