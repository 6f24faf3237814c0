"""From the bytes of a file to its events, whatever form they were written in.

Read are JSON and EDN (maps in one list, one after another, or in a map's `history`), and Jepsen's history.txt
(process, type, f and value between tabs). Files in a form that is not read are refused by the name of their form.
"""

import json
import re
from typing import Any

import msgspec

from quorate.lab.judges.edn import read_all
from quorate.lab.judges.history import HistoryError

Events = list[dict[Any, Any]]

READ = "a history is read as JSON, as EDN, or as Jepsen's history.txt"
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FILES = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"JEPSEN", "Jepsen's binary test.jepsen"), (b"SQLite format 3", "an SQLite database"),
)  # fmt: skip
_JSON = {str: "string", int: "number", float: "number", bool: "truth value", type(None): "null"}
_LINE = re.compile(r"\s*:?[\w-]+\t:?(?:invoke|ok|fail|info)\t")
_CSV = re.compile(r'[\w":-]+(?:[,;|][^,;|{}\[\]]*){2,}\Z')


def text_of(content: bytes) -> str:
    """The text, without a byte order mark. Raises HistoryError."""
    for start, name in _FILES:
        if content.startswith(start):
            raise HistoryError(f"this file is {name}; {READ}")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark) and len(content) > len(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise HistoryError(f"not a history: this is no text ({encoding})") from error


def events(text: str) -> Events | None:
    """The events of a text, or None for a log of Jepsen's. Raises HistoryError."""
    first = text.lstrip()[:1]
    if first and first in "[({;#^":
        found = _maps(text)
    elif _LINE.match(text):
        return [_tabbed(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    elif "jepsen.util" in text:
        return None
    else:
        raise HistoryError(f"not a history{_form(text)}; {READ}")
    if len(found) == 1 and isinstance(found[0], dict):
        inside = found[0].get("history", found[0].get(":history"))
        if isinstance(inside, list):
            found = inside
    for number, event in enumerate(found, 1):
        if not isinstance(event, dict):
            raise HistoryError(f"event {number} is not an operation (a map): {str(event)[:80]}")
    if any(":type" in event or str(event.get("type")).startswith(":") for event in found):
        return [_without_colons(event) for event in found]
    return found


def value_of(text: str) -> Any:
    """A value as it is given on the command line: JSON or EDN, or else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    try:
        found = list(read_all(text))
    except (HistoryError, RecursionError):
        return text
    return found[0] if len(found) == 1 else text


def _form(text: str) -> str:
    """The form of what is no history, where it has one that is known."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    try:
        return f": this is a JSON {_JSON[type(json.loads(text))]}"
    except (ValueError, RecursionError, KeyError):
        if line.startswith("<"):
            return ": this is XML or HTML"
        if line.startswith(("- ", "---")):
            return ": this is YAML"
        if _CSV.match(line):
            return ": this is CSV"
        return ": these lines with tabs are not process, :type, :f, value" if "\t" in line else ""


def _tabbed(number: int, line: str) -> dict[Any, Any]:
    """A line of history.txt: process, type, f, value, and perhaps an error."""
    if not _LINE.match(line):
        raise HistoryError(f"line {number} is no line of a history.txt: {line[:80]!r}")
    parts = line.strip("\r\n ").split("\t")
    names = ("process", "type", "f", "value", "error")
    event: dict[Any, Any] = {}
    for name, part in zip(names, parts, strict=False):
        values = list(read_all(part)) if name != "error" else [part]
        if len(values) > 1:
            raise HistoryError(f"line {number}: more than one {name}: {part[:80]!r}")
        event[name] = values[0] if values else None
    return event


def _maps(text: str) -> list[Any]:
    try:
        return _json(text)
    except (ValueError, RecursionError) as trouble:
        if re.match(r'\s*[\[({]*\s*[\[({]\s*"', text):
            raise HistoryError(f"not a history: {trouble}") from trouble
    found = list(read_all(text))
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def _json(text: str) -> list[Any]:
    try:
        whole = msgspec.json.decode(text)
        return whole if isinstance(whole, list) else [whole]
    except msgspec.DecodeError:
        if re.match(r"\s*\[\s*\[", text):
            raise
    try:
        lines = (line.strip().rstrip(",") for line in text.split("\n"))
        return [msgspec.json.decode(line) for line in lines if line]
    except msgspec.DecodeError:
        if not re.match(r"\s*\{\s*[\"}]", text):
            raise
    return _one_after_another(text)


def _one_after_another(text: str) -> list[Any]:
    """JSON values on any number of lines each."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    place = 0
    while place < len(text):
        while place < len(text) and (text[place].isspace() or text[place] == ","):
            place += 1
        if place < len(text):
            value, place = decoder.raw_decode(text, place)
            found.append(value)
    return found


def _without_colons(value: Any) -> Any:
    """Keywords that somebody wrote into JSON as they look in EDN."""
    if isinstance(value, str):
        return value.removeprefix(":")
    if isinstance(value, list):
        return [_without_colons(each) for each in value]
    if isinstance(value, dict):
        return {_without_colons(key): _without_colons(each) for key, each in value.items()}
    return value
