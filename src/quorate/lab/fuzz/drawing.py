"""Drawing the steps of a seed: what `lab.sql` gives, put into batches, and what happens between them."""

from random import Random

from quorate.core.statements import Statement
from quorate.lab.fuzz.script import ENDS, MOVES, Batch, Move, Step
from quorate.lab.sql.draw import Drawer
from quorate.lab.sql.shape import Drawn, Request
from quorate.lab.sql.vanishing import PERCENT, Vanishing
from quorate.lab.sql.weights import chance
from quorate.storage.plain.run import Asked

STEPS = (6, 12, 12, 24)
"""How many steps follow the schema."""


class Writer:
    """Draws one seed. `requests` are those of the batch that was drawn last: what was learnt of each is told."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"sql {seed}")
        self.drawer = Drawer(self.rng)
        self.memory = chance(self.rng, 25)
        self.folder = chance(self.rng, 40)
        self.requests: list[Request] = []
        self.left = self.rng.choice(STEPS)
        self._schema = self.drawer.schema()
        rng = Random(f"vanishing {seed}")
        self._vanishing = Vanishing(rng) if chance(rng, PERCENT) else None
        if self._vanishing is not None:
            self._schema += self._vanishing.schema()

    def step(self) -> Step | None:
        """What is to be done next, or None at the end."""
        if self._schema:
            return self._make_schema()
        if self.left == 0:
            return None
        self.left -= 1
        rng = self.rng
        if chance(rng, 35):
            self.requests = []
            return Move(rng.choice(MOVES), rng.randrange(3), rng.randrange(1 << 30))
        groups = [
            [self._request() for _ in range(rng.choice((1, 1, 2, 3, 6)))] for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        held = next((each for group in groups for each in group if each.held), None)
        if held is not None:
            groups = [[held]]
        self.requests = [request for group in groups for request in group]
        return Batch(tuple(tuple(map(asked, group)) for group in groups), rng.choice(ENDS), rng.randrange(8))

    def _request(self) -> Request:
        if self._vanishing is not None and chance(self._vanishing.rng, 50):
            return self._vanishing.request()
        return self.drawer.request()

    def _make_schema(self) -> Batch:
        """A statement each, or all of them, in one batch."""
        count = len(self._schema) if chance(self.rng, 70) else 1
        now, self._schema = self._schema[:count], self._schema[count:]
        self.requests = [Request((drawn,)) for drawn in now]
        return Batch((tuple(map(asked, self.requests)),), self.rng.choice(ENDS), self.rng.randrange(8))

    def learn(self, drawn: Drawn) -> None:
        """This statement of the last batch is there to stay."""
        self.drawer.learn(drawn)


def asked(request: Request) -> Asked:
    """A drawn request as it is run."""
    statements = tuple(Statement(drawn.sql, drawn.sets, drawn.many) for drawn in request.statements)
    return Asked(statements, request.held, request.load)
