"""`quorate.Connection` is what a program may rely on, whatever the connection leads to. mypy holds what is assigned
here; the test holds that the protocol leaves nothing out that all drivers have."""

import inspect

import quorate
from quorate.client import interface


def over_a_cluster(made: quorate.ClusterConnection) -> quorate.Connection:
    return made


def embedded(made: quorate.EmbeddedConnection) -> quorate.Connection:
    return made


def public(kind: type) -> set[str]:
    slots = {slot for each in kind.__mro__ for slot in each.__dict__.get("__slots__", ())}
    named = {one for each in kind.__mro__ for one in (*each.__dict__, *inspect.get_annotations(each))}
    return {one for one in slots | named if not one.startswith("_")}


def test_the_protocol_names_what_all_connections_have() -> None:
    shared = public(quorate.ClusterConnection) & public(quorate.EmbeddedConnection)
    kinds = (quorate.ClusterConnection, quorate.EmbeddedConnection)
    absent = {name for name in shared if not all(hasattr(kind, name) for kind in kinds)}
    assert shared - absent - {"run"} <= public(interface.Connection)
    assert public(interface.Connection) <= shared


def test_a_connection_is_known_by_the_protocol() -> None:
    with quorate.connect(":memory:") as db:
        assert isinstance(db, quorate.Connection)
        assert not isinstance(db.execute("SELECT 1"), quorate.Connection)
