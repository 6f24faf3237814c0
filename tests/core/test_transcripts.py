"""Every transcript says what the protocol does now (`tests/core/transcripts`)."""

import difflib
from pathlib import Path
from typing import get_args

import pytest

from quorate.core import kernel, messages
from tests.core.transcripts import render
from tests.core.transcripts.runner import record, scripts


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.stem)
def test_the_protocol_does_what_the_transcript_says(path: Path, pytestconfig: pytest.Config) -> None:
    before = path.read_text(encoding="utf-8")
    now = record(before)
    if pytestconfig.getoption("rewrite_transcripts"):
        path.write_text(now, encoding="utf-8")
        return
    changed = "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), "recorded", "now", lineterm=""))
    assert not changed, f"{changed}\n(if that is wanted: pytest tests/core/test_transcripts.py --rewrite-transcripts)"


def test_every_message_and_every_effect_can_be_shown() -> None:
    assert set(get_args(messages.Message)) == set(render.MESSAGES)
    shown = render.EFFECTS.keys() | render.SHOWN_ELSEWHERE | render.HOUSEKEEPING
    assert set(get_args(kernel.Effect)) == shown
