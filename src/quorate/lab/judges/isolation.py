"""Names: anomalies of transactions, models of consistency, which anomaly implies which, and which model
forbids what.

Every anomaly of dependencies is a circle of edges ww, wr and rw; a model is the set of circles that it forbids:

    G0                   ww+                              PL-1            Adya 1999
    G1c                  (ww | wr)+                       PL-2            Adya 1999
    G-cursor             rw ww+, all of one key           PL-CS           Adya 1999
    G-monotonic          rw (ww | wr)+, into an event     PL-2L           Adya 1999: the reader's unfolded graph
                         of the reader before that read
    G-single             rw (ww | wr)+                    PL-2+, PSI      Adya 1999; Cerone, Gotsman 2016
    G-update             any, at most one read-only       PL-3U           Adya 1999
    G-nonadjacent        ((ww | wr) rw?)+                 SI              Cerone, Gotsman 2016
    G2-item              any with rw                      PL-2.99, PL-3   Adya 1999
    fractured-read       RW wr                            read atomicity  Cerone, Bernardi, Gotsman 2015
    causality-violation  RW wr+                           causal          the same; Cerone, Gotsman, Yang 2017
    prefix-violation     (wr rw? | ww)+, with rw          prefix          the same

RW goes from a read of a key to every writer of a later version, rw to that of the next. The axioms of Cerone, Bernardi
and Gotsman (a visibility and an arbitration) come to these circles; the tests compare both. Lost updates: Bailis and
others (2013). The strong session models: Daudjee and Salem (2004, 2006).
"""

from collections.abc import Iterable

SUFFIXES = ("", "-process", "-realtime")

_IMPLIES: dict[str, tuple[str, ...]] = {
    "G0": ("G1c",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "G-cursor": ("G-single",),
    "G-monotonic": ("G-single",),
    "fractured-read": ("causality-violation",),
    "causality-violation": ("G-single", "prefix-violation"),
    "prefix-violation": ("G-nonadjacent",),
    "G-single": ("G-nonadjacent", "G-update"),
    "G-update": ("G2-item",),
    "G-nonadjacent": ("G2-item",),
    "G2-item": ("G2",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "unwritten-element": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("G-cursor",),
}
"""Anomaly -> what it is a case of. Those made of cycles do so with each suffix too."""

_CYCLES = ("G0", "G1", "G1c", "G-single", "G-update", "G-nonadjacent", "G2-item", "G2", "cyclic-versions")

WEAKER: dict[str, tuple[str, ...]] = {
    "read-committed": ("read-uncommitted",),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "forward-consistent-view": ("consistent-view",),
    "update-serializable": ("forward-consistent-view",),
    "read-atomic": ("read-committed",),
    "causal": ("read-atomic",),
    "parallel-snapshot-isolation": ("causal", "consistent-view"),
    "prefix": ("causal",),
    "snapshot-isolation": ("forward-consistent-view", "parallel-snapshot-isolation", "prefix"),
    "repeatable-read": ("cursor-stability",),
    "serializable": ("repeatable-read", "snapshot-isolation", "update-serializable"),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strict-serializable": ("strong-session-serializable", "strong-snapshot-isolation"),
}
"""Model -> the next weaker models that it includes."""

MODELS = ("read-uncommitted", *WEAKER)

_FORBIDS: dict[str, tuple[str, ...]] = {
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions", "own-write-lost"),
    "read-committed": ("G1",),
    "cursor-stability": ("G-cursor",),
    "monotonic-view": ("G-monotonic",),
    "consistent-view": ("G-single",),
    "update-serializable": ("G-update",),
    "read-atomic": ("fractured-read", "internal", "future-read"),
    "causal": ("causality-violation",),
    "prefix": ("prefix-violation",),
    "snapshot-isolation": ("G-nonadjacent",),
    "repeatable-read": ("G2-item",),
    "serializable": ("G2",),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-session-read-committed": ("G1-process",),
    "strong-session-snapshot-isolation": ("G-nonadjacent-process", "cyclic-versions-process"),
    "strong-session-serializable": ("G2-process",),
    "strong-read-uncommitted": ("G0-realtime",),
    "strong-read-committed": ("G1-realtime",),
    "strong-snapshot-isolation": ("G-nonadjacent-realtime", "cyclic-versions-realtime"),
    "strict-serializable": ("G2-realtime",),
}
"""Model -> what it forbids beyond the weaker ones."""

ALIASES = {
    "pl-1": "read-uncommitted",
    "pl-2": "read-committed",
    "pl-cs": "cursor-stability",
    "pl-2l": "monotonic-view",
    "pl-2+": "consistent-view",
    "pl-fcv": "forward-consistent-view",
    "pl-3u": "update-serializable",
    "pl-2.99": "repeatable-read",
    "pl-si": "snapshot-isolation",
    "pl-3": "serializable",
    "pl-ss": "strict-serializable",
    "conflict-serializable": "serializable",
    "strong-serializable": "strict-serializable",
}


def model_named(name: str) -> str | None:
    """The model that is meant by this name, or None."""
    name = name.lower()
    name = ALIASES.get(name, name)
    return name if name in MODELS else None


def implied(anomalies: Iterable[str]) -> set[str]:
    """These anomalies and all of which they are a case. A violation without suffix is one with `-process`,
    and that one with `-realtime`, for processes do one thing at a time."""
    found: set[str] = set()
    waiting = list(anomalies)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        base, suffix = split(name)
        waiting += [each + suffix for each in _IMPLIES.get(base, ()) if not suffix or each in _CYCLES]
        if base in _CYCLES and suffix != "-realtime":
            waiting.append(base + ("-realtime" if suffix else "-process"))
    return found


def split(name: str) -> tuple[str, str]:
    """ "G1c-process" -> ("G1c", "-process")."""
    for suffix in SUFFIXES[1:]:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""


def impossible(anomalies: Iterable[str]) -> set[str]:
    """The models that no history with these anomalies keeps."""
    present = implied(anomalies)
    out = {model for model, forbidden in _FORBIDS.items() if present & set(forbidden)}
    grew = True
    while grew:
        more = {model for model, weaker in WEAKER.items() if model not in out and out & set(weaker)}
        out |= more
        grew = bool(more)
    return out


def boundary(anomalies: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the weakest models ruled out, the stronger ones that fall with them)."""
    out = impossible(anomalies)
    weakest = {model for model in out if not out & set(WEAKER.get(model, ()))}
    return tuple(m for m in MODELS if m in weakest), tuple(m for m in MODELS if m in out - weakest)
