"""What the catalog says: members, databases, and which nodes should hold which group.

The catalog is an ordinary replicated database (group 0), so it shares logs, elections, snapshots and
exactly-once writes with all others; its tables are written by SQL and read back as this value whenever
its data file moves. The group's own log is the truth about its voters; this is the desired placement.
"""

from msgspec import Struct

from quorate.core.kernel import GroupId, Member, NodeId

SCHEMA = (
    "CREATE TABLE members(node INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, address TEXT NOT NULL) STRICT",
    """CREATE TABLE databases(name TEXT PRIMARY KEY, replication TEXT NOT NULL, acks TEXT NOT NULL)
       STRICT, WITHOUT ROWID""",
    """CREATE TABLE partitions(id INTEGER PRIMARY KEY AUTOINCREMENT, database TEXT NOT NULL REFERENCES databases(name),
       number INTEGER NOT NULL, UNIQUE(database, number)) STRICT""",
    """CREATE TABLE replicas(partition INTEGER NOT NULL REFERENCES partitions(id),
       node INTEGER NOT NULL REFERENCES members(node), PRIMARY KEY(partition, node)) STRICT, WITHOUT ROWID""",
)
"""The id of a row of `partitions` is the id of the group that holds the partition."""


class DatabaseRow(Struct, frozen=True, array_like=True):
    name: str
    replication: str
    acks: str
    """`AcksRule.text`: who must hold a write, and who decides about failovers when it is not the replicas."""


class PartitionRow(Struct, frozen=True, array_like=True):
    group: GroupId
    database: str
    number: int
    nodes: tuple[NodeId, ...]


class Catalog(Struct, frozen=True):
    members: tuple[Member, ...] = ()
    databases: tuple[DatabaseRow, ...] = ()
    partitions: tuple[PartitionRow, ...] = ()
    version: int = 1
    """The cluster's format number (`core.upgrading`)."""


QUERIES = (
    "SELECT node, name, address FROM members ORDER BY node",
    "SELECT name, replication, acks FROM databases ORDER BY name",
    """SELECT id, database, number, (SELECT group_concat(node) FROM
       (SELECT node FROM replicas WHERE partition = id ORDER BY node)) FROM partitions ORDER BY id""",
    "SELECT max(1, user_version) FROM pragma_user_version",
)
"""How storage reads a `Catalog` back; the last column of the third is a comma-separated list of nodes."""
