"""What the catalog says: members, databases, and which nodes should hold which group.

The catalog is an ordinary replicated database (group 0), so it shares logs, elections, snapshots and
exactly-once writes with all others; its tables are written by SQL and read back as this value whenever
its data file moves. The group's own log is the truth about its voters; this is the desired placement.
"""

from msgspec import Struct

from quorate.core.auth.users import Users
from quorate.core.bounds import GroupId, NodeId
from quorate.core.certificates import Certificates
from quorate.core.recovered import Member

SCHEMA = (
    "CREATE TABLE members(node INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, address TEXT NOT NULL) STRICT",
    """CREATE TABLE databases(name TEXT PRIMARY KEY, replication TEXT NOT NULL, options TEXT NOT NULL)
       STRICT, WITHOUT ROWID""",
    """CREATE TABLE partitions(id INTEGER PRIMARY KEY AUTOINCREMENT, database TEXT NOT NULL REFERENCES databases(name),
       number INTEGER NOT NULL, leader INTEGER NOT NULL DEFAULT 0, UNIQUE(database, number, leader)) STRICT""",
    """CREATE TABLE replicas(partition INTEGER NOT NULL REFERENCES partitions(id),
       node INTEGER NOT NULL REFERENCES members(node), PRIMARY KEY(partition, node)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE dropped(partition INTEGER PRIMARY KEY, database TEXT NOT NULL, nodes TEXT NOT NULL) STRICT",
)
"""The id of a row of `partitions` is the id of the group that holds the partition: where a database has several leaders
(1, 2, ...), of the group of each. No id is ever used again, and
`dropped` keeps those of databases that were dropped, with the nodes that held them: a node that was away learns it."""

DROP = (
    """INSERT INTO dropped SELECT id, database, (SELECT group_concat(node) FROM
       (SELECT node FROM replicas WHERE partition = id ORDER BY node)) FROM partitions WHERE database = ?""",
    "DELETE FROM replicas WHERE partition IN (SELECT id FROM partitions WHERE database = ?)",
    "DELETE FROM partitions WHERE database = ?",
    "DELETE FROM databases WHERE name = ?",
)
"""What drops the database of this name, whatever became of it meanwhile; the last one's row count tells whether there
was one."""

MEMBERS_SCHEMA = (
    "CREATE TABLE member_changes(number INTEGER PRIMARY KEY, change TEXT NOT NULL, token TEXT NOT NULL) STRICT",
    "CREATE TABLE removed(node INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL) STRICT",
    "CREATE TABLE catalog_voters(node INTEGER PRIMARY KEY) STRICT",
    "CREATE TABLE beginnings(partition INTEGER NOT NULL, node INTEGER NOT NULL, PRIMARY KEY(partition, node)) STRICT",
)
"""Made by the first change of members. `beginnings` keeps, for each partition that was moved, the voters with which its
group began: a replica on any other node begins without a vote."""


SCHEMA_CHANGES = """CREATE TABLE IF NOT EXISTS schema_changes(partition INTEGER NOT NULL, number INTEGER NOT NULL,
       sql TEXT NOT NULL, PRIMARY KEY(partition, number)) STRICT, WITHOUT ROWID"""
"""Made by the first change of the schema of a database without a leader. Those of databases that were dropped may stay:
no id of a partition is ever used again."""
CHANGE_SCHEMA = """INSERT INTO schema_changes SELECT id, ?, ? FROM partitions WHERE database = ? AND
    coalesce((SELECT max(number) FROM schema_changes WHERE partition = id), 0) = ? RETURNING number"""
FORGET_SCHEMA = "DELETE FROM schema_changes WHERE partition IN (SELECT id FROM partitions WHERE database = ?)"


class DatabaseRow(Struct, frozen=True, array_like=True):
    name: str
    replication: str
    """Its name in `core.replication`."""
    options: str
    """`DatabaseOptions.encode`."""


class PartitionRow(Struct, frozen=True, array_like=True):
    group: GroupId
    database: str
    number: int
    nodes: tuple[NodeId, ...]
    began: tuple[NodeId, ...] = ()
    """The voters with which the group began, if they are not these."""
    leader: int = 0
    """Which of several leaders' group this is, counted from 1; 0: the database has one, or none."""


class DroppedRow(Struct, frozen=True, array_like=True):
    group: GroupId
    database: str
    nodes: tuple[NodeId, ...]
    """Those that held it."""


class Catalog(Struct, frozen=True):
    members: tuple[Member, ...] = ()
    databases: tuple[DatabaseRow, ...] = ()
    partitions: tuple[PartitionRow, ...] = ()
    version: int = 1
    """The cluster's format number (`core.upgrading`)."""
    changes: int = 0
    """How often members have been added, removed or replaced."""
    tokens: tuple[str, ...] = ()
    """Of the requests that did."""
    removed: tuple[Member, ...] = ()
    voters: tuple[NodeId, ...] = ()
    """Who is to vote on the catalog itself; empty: those who always did."""
    dropped: tuple[DroppedRow, ...] = ()
    users: Users = Users()
    certificates: Certificates = Certificates()
    schemas: tuple[tuple[GroupId, int, str], ...] = ()
    """Of databases without a leader: the changes of their schemas, each with its number, in order."""


DATABASES_QUERY = (
    "SELECT name, replication, options, (SELECT count(*) FROM replicas JOIN partitions ON partition = id"
    " WHERE database = name AND number = (SELECT min(number) FROM partitions WHERE database = name))"
    " FROM databases ORDER BY name"
)
"""How clients list the databases."""
DROPPED_QUERY = "SELECT partition, nodes FROM dropped WHERE database = ? ORDER BY partition DESC LIMIT 1"
"""How they learn what the last dropped database of a name was."""

QUERIES = (
    "SELECT node, name, address FROM members ORDER BY node",
    "SELECT name, replication, options FROM databases ORDER BY name",
    """SELECT id, database, number, leader, (SELECT group_concat(node) FROM
       (SELECT node FROM replicas WHERE partition = id ORDER BY node)) FROM partitions ORDER BY id""",
    "SELECT max(1, user_version) FROM pragma_user_version",
    "SELECT partition, database, nodes FROM dropped ORDER BY partition",
)
"""How storage reads a `Catalog` back; the third and the fifth end with comma-separated lists of nodes."""

SCHEMAS_QUERIES = ("SELECT partition, number, sql FROM schema_changes ORDER BY partition, number",)
"""The same for `SCHEMA_CHANGES`, which may not be there."""
MEMBERS_QUERIES = (
    "SELECT number, change, token FROM member_changes ORDER BY number",
    "SELECT node, name, address FROM removed ORDER BY node",
    "SELECT node FROM catalog_voters ORDER BY node",
    "SELECT partition, node FROM beginnings ORDER BY partition, node",
)
"""The same for `MEMBERS_SCHEMA`, which may not be there."""
