"""What becomes of a core's notes in the log."""

import json
import logging

import pytest

from quorate.core.auth.record import line
from quorate.core.auth.users import Login, SetPassword
from quorate.core.kernel import Note
from quorate.core.statements import Token
from quorate.runtime.notes import log_note


def test_a_change_of_the_cluster_is_one_line_of_json_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "quorate.audit")
    change = SetPassword("bob", "the verifier", Token("the token", 0))
    log_note(Note("audit", line(1_700_000_000_000_000, Login("ann", origin="10.0.0.9"), change)))
    (record,) = caplog.records
    assert record.name == "quorate.audit"
    assert json.loads(record.getMessage()) == {
        "at_us": 1_700_000_000_000_000,
        "who": "ann",
        "from": "10.0.0.9",
        "what": {"change": "set_password", "name": "bob"},
    }
