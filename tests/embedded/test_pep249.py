"""The public tests of PEP 249 (`dbapi-compliance` on PyPI), on a folder, with three overrides."""

import shutil
import tempfile
from typing import Any

import pytest

import quorate

dbapi20 = pytest.importorskip("dbapi20")


class TestPep249(dbapi20.DatabaseAPI20Test):  # type: ignore[misc, name-defined, unused-ignore]
    """Each test has a folder of its own. A connection is a transaction, as PEP 249 has it."""

    driver: Any = quorate

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.connect_args = (folder,)
        self.connect_kw_args = {"autocommit": False}

    def tearDown(self) -> None:
        """The folder goes with its tables."""

    def test_non_idempotent_close(self) -> None:
        """Override: PEP 249 leaves open what closing again does. Here it does nothing, as elsewhere."""
        db = quorate.connect(*self.connect_args)
        db.close()
        db.close()

    def test_nextset(self) -> None:
        """Override: `nextset` is optional, and nothing here gives several sets of rows."""
        assert not hasattr(quorate.connect(*self.connect_args).cursor(), "nextset")

    def test_setoutputsize(self) -> None:
        """Override: the test is the driver's to write. Columns of any size are fetched whole."""
        with quorate.connect(*self.connect_args) as db:
            cursor: Any = db.cursor()
            cursor.setoutputsize(10)
            assert cursor.execute("SELECT zeroblob(100000)").fetchone() == (bytes(100000),)
