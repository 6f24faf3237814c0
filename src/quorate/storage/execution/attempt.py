"""Running the requests of a batch once, from the first to the last: what each is told, and what is remembered of it."""

from collections.abc import Callable, Sequence

from quorate.core.requests import Done, Outcome, Replay, Run, Write
from quorate.core.scripts import BeginAttempt, Script
from quorate.core.statements import Failed, Token
from quorate.storage.data.window import name_of, note_id, repeated
from quorate.storage.execution.execution import TogetherError
from quorate.storage.execution.runs import OPEN, barred, committed_by, next_attempt
from quorate.storage.execution.transactions import Transactions
from quorate.storage.execution.watch import Watch
from quorate.storage.interface import Divergent
from quorate.storage.rows.payload import CANCELLED, Record, decode_batch, decode_records, encode, encode_failed
from quorate.storage.rows.replaying import settled_result, settled_since


class Attempt:
    """One attempt. `known` finds the remembered outcome of a token, `remembers` only whether there is one."""

    __slots__ = ("_execution", "_known", "_remembers", "_watch", "fresh", "outcomes", "records")

    def __init__(
        self,
        execution: Transactions,
        watch: Watch,
        known: Callable[[str, int], bytes | None],
        remembers: Callable[[str], bool],
    ) -> None:
        self._execution = execution
        self._watch = watch
        self._known = known
        self._remembers = remembers
        self.outcomes: list[bytes] = []
        """Encoded, one for each request that was run."""
        self.records: list[Record] = []
        self.fresh: dict[str, bytes] = {}
        """The outcomes that the records hold, by token."""

    def run(self, requests: Sequence[Write], lost: dict[int, bytes]) -> None:
        """Run every request once, or as many as the time allows. `lost` has the failures of those that are not to be
        run again. Raises TransactionLostError, StoppedError or EntryTooLarge."""
        starts: list[int] = []
        """How many records there were when each request began."""
        position, count = 0, len(requests)
        while True:
            try:
                while position < count:
                    starts.append(len(self.records))
                    self._run(position, requests[position], lost)
                    position += 1
                    if position < count and self._watch.spent:
                        break
                self._execution.end_together()
            except TogetherError as undone:
                position = undone.first
                self._go_back(position, starts[position])
                del starts[position:]
            else:
                return

    def _go_back(self, outcomes: int, records: int) -> None:
        for name, _ in self.records[records:]:
            del self.fresh[name]
        del self.records[records:], self.outcomes[outcomes:]

    def _run(self, position: int, request: Write, lost: dict[int, bytes]) -> None:
        fresh, token = self.fresh, request.token
        if token is not None:
            name = name_of(token.id)
            known = fresh.get(name) or self._known(name, token.seen)
            if known is not None:
                if not known.startswith(OPEN):
                    self.outcomes.append(repeated(token.id, known, self._is_known))
                    return
                told = barred(request, known)
                if told is not None:
                    self.outcomes.append(told)
                    return
        if type(request) is Run and not lost:
            outcome, kept = self._execution.run(position, request)
        elif type(request) is Script:
            self._script(position, request, lost)
            return
        elif position in lost:
            outcome = kept = lost[position]
        elif type(request) is Run:
            outcome, kept = self._execution.run(position, request)
        elif type(request) is BeginAttempt:
            self._execution.end_together()
            outcome = kept = next_attempt(known)
        elif type(request) is Replay:
            outcome = kept = self._replay(position, request)
        else:
            assert type(request) is Outcome, request
            self._execution.end_together()
            outcome = kept = CANCELLED
        self.outcomes.append(outcome)
        if token is not None:
            self._remember(token, name, kept)

    def _remember(self, token: Token, name: str, kept: bytes) -> None:
        self.fresh[name] = kept
        self.records.append((name, kept))
        if name is not token.id:
            note_id(token.id, self.fresh, self.records)

    def _script(self, position: int, script: Script, lost: dict[int, bytes]) -> None:
        """Of a transaction only that it was committed is remembered."""
        kept: bytes | None = None
        if position in lost:
            outcome = lost[position]
        else:
            outcome, kept = self._execution.script(position, script)
        self.outcomes.append(outcome)
        if kept is not None and script.token is not None:
            if script.run is not None:
                self.outcomes[-1] = kept = committed_by(script.run.attempt)
            self._remember(script.token, name_of(script.token.id), kept)

    def _is_known(self, token: str) -> bool:
        return token in self.fresh or self._remembers(token)

    def _replay(self, position: int, request: Replay) -> bytes:
        """A lost entry once more: the outcome. Its callers' tokens are remembered as they were then."""
        try:
            batch = decode_batch(request.payload)
            records = decode_records(bytes(batch.records))
        except Divergent as error:
            return encode_failed(Failed("DataError", str(error)))
        since, of = settled_since(records, self._is_known)
        if since:
            return encode(Done((settled_result(since, of),)))
        outcome, applied = self._execution.replay(position, batch)
        if applied:
            again = [each for each in records if not self._is_known(each[0])]
            self.fresh.update(again)
            self.records += again
        return outcome
