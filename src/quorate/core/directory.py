"""Which group holds what, and the catalog that says so.

The first leader of an empty catalog founds it (its tables, the members, and the database `main`); a
database is created by a write to the catalog, and its groups appear on the nodes that the catalog names
when each of them has applied that write.
"""

from collections.abc import Sequence

from quorate.core.auth import making
from quorate.core.bounds import GroupId, NodeId
from quorate.core.catalog import SCHEMA, Catalog, PartitionRow
from quorate.core.kernel import CATALOG_DATABASE, CATALOG_GROUP
from quorate.core.membership import Wanted
from quorate.core.messages import Removed, Wish
from quorate.core.options import MULTI_LEADER, SINGLE_LEADER, DatabaseOptions, SingleLeaderOptions, Unfit, check
from quorate.core.recovered import Identity, Member
from quorate.core.replication import REPLICATIONS, options_known
from quorate.core.requests import AlterDatabase, CreateDatabase, Refused, Run
from quorate.core.statements import Statement, Token
from quorate.core.upgrading import set_version

ALTER = "UPDATE databases SET options = CASE options WHEN ? THEN ? END WHERE name = ?"
"""Fails (NULL is not allowed) when the options are not those any more that the change was decided on."""
NEW_GROUP = "INSERT INTO partitions(database, number, leader) VALUES (?, 0, ?)"
NEW_REPLICA = (
    "INSERT INTO replicas VALUES ((SELECT id FROM partitions WHERE database = ? AND number = 0 AND leader = ?), ?)"
)
REPLICAS_OF_MAIN = 3
NAME_BYTES_MAX = 128


class Directory:
    """The catalog as this node last read it."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.catalog = Catalog()
        self.read = False
        """The catalog was read at least once in this life."""
        self.members: dict[NodeId, Member] = {member.node: member for member in identity.founders}
        self.replications = {CATALOG_DATABASE: SINGLE_LEADER}
        """The replication of each database, by its name in `core.replication`."""
        self.options: dict[str, DatabaseOptions] = {CATALOG_DATABASE: SingleLeaderOptions()}
        self.partitions: dict[str, tuple[PartitionRow, ...]] = {}
        self.schemas: dict[GroupId, tuple[tuple[int, str], ...]] = {}
        self.removed: dict[NodeId, Member] = {}
        self.told = Removed(0)
        """What others said when this node had been taken out."""

    def load(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.read = True
        if catalog.members:
            self.members = {member.node: member for member in catalog.members}
            self.removed = {member.node: member for member in catalog.removed}
        self.options = {
            row.name: REPLICATIONS[row.replication].options.decode(row.options) for row in catalog.databases
        }
        self.options[CATALOG_DATABASE] = SingleLeaderOptions()
        self.replications = {row.name: row.replication for row in catalog.databases}
        self.replications[CATALOG_DATABASE] = SINGLE_LEADER
        self.schemas = {}
        for group, number, sql in catalog.schemas:
            self.schemas[group] = (*self.schemas.get(group, ()), (number, sql))
        self.partitions = {}
        for row in catalog.partitions:  # in the order of their groups
            if row.number == 0:
                self.partitions[row.database] = (*self.partitions.get(row.database, ()), row)

    def address_of(self, node: NodeId) -> str:
        member = self.members.get(node)
        return member.address if member is not None else ""

    def name_of(self, node: NodeId) -> str:
        member = self.members.get(node) or self.removed.get(node)
        return member.name if member is not None else str(node)

    def node_named(self, name: str) -> NodeId | None:
        """The member of this name; None when there is none."""
        return next((member.node for member in self.members.values() if member.name == name), None)

    def groups_for(self, database: str) -> tuple[PartitionRow, ...]:
        """The groups that hold this database, each all of it: one, or one for each of its leaders. None has a node in
        common with another."""
        return self.partitions.get(database, ())

    def groups_of(self, node: NodeId) -> list[PartitionRow]:
        """What the catalog wants this node to hold."""
        return [row for row in self.catalog.partitions if node in row.nodes or node in row.began]

    def wanted_members(self, group: GroupId) -> Wanted | None:
        """Whom the catalog wants in a group. Every member has a copy of the catalog, though only some vote on it."""
        catalog = self.catalog
        if self.told.change > catalog.changes:
            for wish in self.told.wishes:
                if wish.group == group:
                    others = (each.node for each in self.told.members if each.node not in wish.voters)
                    return Wanted(wish.voters, tuple(others) if group == CATALOG_GROUP else (), self.told.change)
            return None
        if not catalog.changes:  # as it was founded
            return None
        if group == CATALOG_GROUP:
            learners = tuple(node for node in self.members if node not in catalog.voters)
            return Wanted(catalog.voters, learners, catalog.changes)
        for row in catalog.partitions:
            if row.group == group:
                return Wanted(row.nodes, (), catalog.changes)
        return None

    def wanted_schema(self, group: GroupId) -> tuple[tuple[int, str], ...]:
        """The changes of the schema of a group without a leader, by number."""
        return self.schemas.get(group, ())

    def farewell(self) -> Removed:
        """What a node is told that is no member any more."""
        rows = self.catalog.partitions
        wishes = tuple(
            Wish(row.group, row.nodes, row.database, row.number, row.began, self.replications[row.database])
            for row in rows
        )
        voters = self.catalog.voters
        everybody = tuple(self.members.values())
        dropped = tuple(row.group for row in self.catalog.dropped)
        return Removed(self.catalog.changes, everybody, (Wish(CATALOG_GROUP, voters), *wishes), dropped)

    # ---- the writes that change it -----------------------------------------------------------------------

    def founding(self) -> Run:
        """Everything a new cluster begins with, in one write."""
        statements = [Statement(sql) for sql in SCHEMA]
        rows = tuple((member.node, member.name, member.address) for member in self.identity.founders)
        statements.append(Statement("INSERT INTO members VALUES (?, ?, ?)", rows, many=True))
        nodes = sorted(member.node for member in self.identity.founders)[:REPLICAS_OF_MAIN]
        statements += _new_database("main", SINGLE_LEADER, SingleLeaderOptions(), (nodes,))
        if self.identity.admin is not None:
            statements += making.user(*self.identity.admin, 1, admin=True, first=True)
        if self.identity.format > 1:
            statements.append(set_version(self.identity.format))
        return Run(CATALOG_DATABASE, tuple(statements), token=Token("founding", 0))

    def creation(self, request: CreateDatabase) -> Run | Refused:
        """The write that creates a database, placed on the members that hold the fewest replicas."""
        refusal = self._refuse_creation(request)
        if refusal is not None:
            return refusal
        try:
            options = check(options_known(), request.replication, request.options, request.replicas)
        except Unfit as error:
            return Refused(error.error, str(error), error.hint)
        load: dict[NodeId, int] = dict.fromkeys(sorted(self.members), 0)
        for row in self.catalog.partitions:
            for node in row.nodes:
                load[node] = load.get(node, 0) + 1
        nodes = sorted(sorted(load, key=lambda node: (load[node], node))[: request.replicas])
        statements = _new_database(request.database, request.replication, options, options.placed(nodes))
        return Run(CATALOG_DATABASE, tuple(statements), token=request.token)

    def _refuse_creation(self, request: CreateDatabase) -> Refused | None:
        name = request.database
        if name == CATALOG_DATABASE or not valid_name(name):
            hint = "use letters, digits, _ and -, beginning with a letter; `quorate` is reserved"
            return Refused("ProgrammingError", f"{name!r} cannot be the name of a database", hint)
        if not 1 <= request.replicas <= len(self.members):
            hint = f"choose between 1 and {len(self.members)}"
            message = f"{request.replicas} replicas do not fit on {len(self.members)} members"
            return Refused("ProgrammingError", message, hint)
        return None

    def alteration(self, request: AlterDatabase) -> Run | Refused:
        """The write that changes what is wanted of a database."""
        rows = self.groups_for(request.database)
        if not rows:
            names = ", ".join(known.name for known in self.catalog.databases)
            return Refused("UnknownDatabase", f"there is no database {request.database!r}", f"there are: {names}")
        replication, before = self.replications[request.database], self.options[request.database]
        replicas = sum(len(row.nodes) for row in rows)
        try:
            options = check(options_known(), replication, request.options, replicas, before)
            options.check_change(before)
        except Unfit as error:
            return Refused(error.error, str(error), error.hint)
        known = next(each.options for each in self.catalog.databases if each.name == request.database)
        change = Statement(ALTER, ((known, options.encode(), request.database),))
        return Run(CATALOG_DATABASE, (change,), token=request.token)


def valid_name(name: str) -> bool:
    """Whether this can be the name of a database."""
    return (
        0 < len(name) <= NAME_BYTES_MAX
        and name[0].isascii()
        and name[0].isalpha()
        and all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name)
    )


def _new_database(
    name: str, replication: str, options: DatabaseOptions, groups: Sequence[Sequence[NodeId]]
) -> list[Statement]:
    """`groups`: the nodes of each."""
    statements = [Statement("INSERT INTO databases VALUES (?, ?, ?)", ((name, replication, options.encode()),))]
    first = 1 if replication == MULTI_LEADER else 0
    for leader, nodes in enumerate(groups, first):
        rows = tuple((name, leader, node) for node in nodes)
        statements += [Statement(NEW_GROUP, ((name, leader),)), Statement(NEW_REPLICA, rows, many=True)]
    return statements


CHANGE_UNDER_WAY = Refused(
    "ChangeUnderWay",
    "another change of members is under way",
    "ask again when it has ended; `quorate status` shows it",
    retryable=True,
)
