"""The protocol as scripts that can be read: what is done to a few nodes, and what they say and do in answer.

A script is a `.txt` file in this folder. A line at the margin is a command (`commands.py`) or a `#` comment; the
indented lines beneath a command are the recording of what it caused. `pytest tests/core/test_transcripts.py` runs
each script and compares; with `--rewrite-transcripts` it records them anew.

In a recording, `1 -> 2` is a message that node 1 sends to node 2, and `-x` one that is lost. `*` says what became of
a node; everything else is what it asks of the world. A place in the log is written epoch/index.
"""
