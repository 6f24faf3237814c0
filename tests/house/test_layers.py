"""The files of a replication lie in layers: each imports only what lies below it. What one has to tell those above it
goes through the hooks of its state, which the replica's own file wires."""

from tests.house.source import dotted, imports, modules

ROOMS = ("core/single_leader", "core/multi_leader", "core/leaderless")


def in_circles(arrows: dict[str, set[str]]) -> set[str]:
    """Every file from which imports lead back to it."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            new = arrows.get(ahead.pop(), set()) - found
            found |= new
            ahead += new
        return found

    return {each for each in arrows if each in reached(each)}


def test_no_file_of_a_replication_imports_what_lies_above_it() -> None:
    for room in ROOMS:
        names = {dotted(path) for path in modules(room)}
        arrows = {dotted(path): {name for name, _ in imports(path)} & names for path in modules(room)}
        assert len(arrows) > 5
        assert not in_circles(arrows), room


def test_a_circle_is_seen() -> None:
    arrows = {"commit": {"writes", "state"}, "writes": {"shipping"}, "shipping": {"commit"}, "state": set[str]()}
    assert in_circles(arrows) == {"commit", "writes", "shipping"}
