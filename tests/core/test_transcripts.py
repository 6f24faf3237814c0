"""Every transcript says what the protocol does now (`tests/core/transcripts`)."""

import difflib
from pathlib import Path
from typing import get_args

import pytest

from quorate.core import kernel
from quorate.core.replication import message_kinds
from quorate.lab.mutants import find, sabotaged
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


@pytest.mark.parametrize(
    ("mutant", "scene"),
    [
        ("votes-twice", "split-vote"),
        ("late-votes-count", "split-vote"),
        ("votes-for-a-short-log", "lose"),
        ("damaged-replica-votes", "damaged"),
        ("vote-before-fsync", "fsync"),
        ("counts-itself-unwritten", "fsync"),
        ("no-pre-vote", "pre-vote"),
        ("no-check-quorum", "rewind"),
        ("full-disk-leads", "disk-full"),
        ("counts-an-older-epoch", "figure-8"),
    ],
)
def test_a_scene_shows_what_a_wrong_core_does(mutant: str, scene: str) -> None:
    text = next(path for path in scripts() if path.stem == scene).read_text(encoding="utf-8")
    with sabotaged(find(mutant)):
        try:
            shown = record(text)
        except AssertionError as invariant:
            shown = str(invariant)
    assert shown != text


def test_every_message_and_every_effect_can_be_shown() -> None:
    assert set(message_kinds()) == set(render.MESSAGES)
    shown = render.EFFECTS.keys() | render.SHOWN_ELSEWHERE | render.HOUSEKEEPING
    assert set(get_args(kernel.Effect)) == shown
