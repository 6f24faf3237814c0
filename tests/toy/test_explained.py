"""What a set promises is said where that of every other database is said."""

import pytest

from quorate import errors
from quorate.client.options import explained
from quorate.client.pieces import DatabaseInfo
from quorate.core.promises import document
from quorate.core.read_levels import EVENTUAL
from quorate.core.replication import REPLICATIONS
from tests.toy.replica import NAME


def test_a_set_is_explained_by_its_replication() -> None:
    said = explained([DatabaseInfo("elements", NAME, {}, 3)], "elements")
    assert (said.replication, said.options, said.default_read) == (NAME, {}, EVENTUAL)
    assert said.sentences[0].startswith("Any node takes an element")


def test_the_page_of_promises_has_a_part_for_each_replication() -> None:
    page = document(each.promises for each in REPLICATIONS.values())
    assert "## Acks of `single-leader`" in page
    assert "\n## Sets\n" in page
    assert "| an element that was acknowledged is in every" in page


def test_a_replication_of_a_later_release_is_named() -> None:
    with pytest.raises(errors.NotSupportedError, match="does not know the replication 'later'"):
        explained([DatabaseInfo("new", "later", {}, 3)], "new")
