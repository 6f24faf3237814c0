"""Replicas of one table of versioned rows, in memory: what each has written reaches the others as states of rows, in
any order, grouping and repetition."""

from typing import Any

from quorate.core.versions.clock import stamp_at
from quorate.core.versions.dots import Context, Dot, floor_of, joined
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.resolvers import AnyResolver, Resolver, Spec
from quorate.core.versions.row import Row, delete, empty, insert, is_live, merge, shown, trimmed, update

NOW = 1_800_000_000_000


class Replica:
    def __init__(self, spec: Spec, origin: int, skew_ms: int = 0) -> None:
        self.spec = spec
        self.origin = origin
        self.rows: dict[int, Row] = {}
        self.floor: Context = {}
        self.seen: Context = {}
        self.skew_ms = skew_ms
        self.last = 0
        self.sent: list[tuple[int, bytes]] = []
        """Each state that this replica has ever had, as its bytes."""

    def dot(self) -> Dot:
        self.last = max(self.last + 1, stamp_at(NOW + self.skew_ms))
        self.seen = joined(self.seen, {self.origin: self.last})
        return self.last, self.origin

    def write(self, key: int, what: str, values: dict[int, Any]) -> None:
        """What an application may do: insert where nothing is shown, update or delete what is."""
        row = self.rows.get(key, empty())
        if not is_live(row):
            if what == "delete":
                return
            defaults = {column: first(each) for column, each in enumerate(self.spec.columns)}
            row = insert(row, self.spec, self.dot(), list((defaults | values).values()))
        elif what == "delete":
            row = delete(row, self.spec, self.dot())
        else:
            row = update(row, self.spec, self.dot(), values)
        self.keep(key, row)

    def keep(self, key: int, row: Row) -> None:
        found = trimmed(row, self.spec, self.floor)
        if found is None:
            self.rows.pop(key, None)
            return
        self.rows[key] = row = decode_row(encode_row(found))
        assert encode_row(row) == encode_row(found)
        self.sent.append((key, encode_row(row)))

    def receive(self, key: int, state: bytes, floor: Context) -> None:
        theirs = decode_row(state)
        for stamp in theirs.context.values():
            self.last = max(self.last, stamp)
        self.keep(key, merge(self.rows.get(key, empty()), theirs, self.floor, floor))

    def receive_all(self, other: "Replica") -> None:
        self.advance(other.floor)
        for key, row in sorted(other.rows.items()):
            self.receive(key, encode_row(row), other.floor)
        self.seen = joined(self.seen, other.seen)

    def advance(self, floor: Context) -> None:
        self.floor = joined(self.floor, floor)
        for key, row in list(self.rows.items()):
            self.keep(key, row)

    def content(self) -> dict[int, bytes]:
        return {key: encode_row(row) for key, row in sorted(self.rows.items())}

    def visible(self) -> dict[int, list[Any]]:
        return {key: shown(row, self.spec) for key, row in sorted(self.rows.items()) if is_live(row)}


def first(resolver: AnyResolver) -> Any:
    defaults: dict[AnyResolver, Any] = {Resolver.COUNTER: 0, Resolver.SET: "[]"}
    return defaults.get(resolver, "")


def meet(replicas: list[Replica]) -> None:
    """All of them exchange everything, and the floor rises to what all have seen. Of an origin that writes no more
    they agree that there was nothing beyond what they hold together."""
    for _ in range(2):
        for one in replicas:
            for other in replicas:
                if one is not other:
                    one.receive_all(other)
    contexts = [row.context for each in replicas for row in each.rows.values()]
    writing = [each.origin for each in replicas]
    ended = {origin: stamp for origin, stamp in joined(*contexts).items() if origin not in writing}
    floor = floor_of([joined(each.seen, ended) for each in replicas])
    for each in replicas:
        each.seen = joined(each.seen, ended)
        each.advance(floor)
