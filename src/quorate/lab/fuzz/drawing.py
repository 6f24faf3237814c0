"""Drawing the steps of a seed: what `lab.sql` gives, put into batches, and what happens between them."""

from random import Random

from quorate.core.requests import Statement
from quorate.lab.fuzz.script import ENDS, MOVES, Batch, Move, Step
from quorate.lab.sql.draw import Drawer
from quorate.lab.sql.shape import Drawn, Request
from quorate.lab.sql.vanishing import PERCENT, Vanishing
from quorate.lab.sql.weights import chance
from quorate.storage.plain_run import Asked

STEPS = (6, 12, 12, 24)
"""How many steps follow the schema."""


class Writer:
    """Draws one seed. `requests` are those of the batch that was drawn last: what was learnt of each is told."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(f"sql {seed}")
        self.drawer = Drawer(self.dice)
        self.memory = chance(self.dice, 25)
        self.folder = chance(self.dice, 40)
        self.requests: list[Request] = []
        self.left = self.dice.choice(STEPS)
        self._schema = self.drawer.schema()
        dice = Random(f"vanishing {seed}")
        self._vanishing = Vanishing(dice) if chance(dice, PERCENT) else None
        if self._vanishing is not None:
            self._schema += self._vanishing.schema()

    def step(self) -> Step | None:
        """What is to be done next, or None at the end."""
        if self._schema:
            return self._make_schema()
        if self.left == 0:
            return None
        self.left -= 1
        dice = self.dice
        if chance(dice, 35):
            self.requests = []
            return Move(dice.choice(MOVES), dice.randrange(3), dice.randrange(1 << 30))
        groups = [
            [self._request() for _ in range(dice.choice((1, 1, 2, 3, 6)))] for _ in range(dice.choice((1, 1, 2, 3)))
        ]
        held = next((each for group in groups for each in group if each.held), None)
        if held is not None:
            groups = [[held]]
        self.requests = [request for group in groups for request in group]
        return Batch(tuple(tuple(map(asked, group)) for group in groups), dice.choice(ENDS), dice.randrange(8))

    def _request(self) -> Request:
        if self._vanishing is not None and chance(self._vanishing.dice, 50):
            return self._vanishing.request()
        return self.drawer.request()

    def _make_schema(self) -> Batch:
        """A statement each, or all of them, in one batch."""
        count = len(self._schema) if chance(self.dice, 70) else 1
        now, self._schema = self._schema[:count], self._schema[count:]
        self.requests = [Request((drawn,)) for drawn in now]
        return Batch((tuple(map(asked, self.requests)),), self.dice.choice(ENDS), self.dice.randrange(8))

    def learn(self, drawn: Drawn) -> None:
        """This statement of the last batch is there to stay."""
        self.drawer.learn(drawn)


def asked(request: Request) -> Asked:
    """A drawn request as it is run."""
    statements = tuple(Statement(drawn.sql, drawn.sets, drawn.many) for drawn in request.statements)
    return Asked(statements, request.held, request.load)
