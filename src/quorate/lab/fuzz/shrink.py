"""Making a failing script small: whole steps, requests, statements and rows go while it still fails alike."""

from collections.abc import Callable, Iterator

import msgspec

from quorate.lab.fuzz.run import run_script
from quorate.lab.fuzz.script import Batch, Script, Step

TRIES = 400
KIND = 24
"""Characters of a difference that must stay: what kind it is, not of which table."""


def shrink(script: Script, difference: str, tries: int = TRIES) -> tuple[Script, str]:
    """The smallest script found within so many runs, and its difference."""
    best, found = script, difference

    for _ in range(4):
        size = _size(best)
        for candidates in (_without_steps, _without_requests, _without_statements, _plainer):
            again = True
            while again and tries > 0:
                again = False
                for candidate in candidates(best):
                    if tries <= 0:
                        break
                    tries -= 1
                    report = run_script(candidate)
                    if kind(report.difference) == kind(difference) and report.difference:
                        best, found, again = candidate, report.difference, True
                        break
        if _size(best) == size:
            break
    return best, found


def kind(difference: str) -> str:
    """What kind of difference it is: its first words without names and numbers."""
    words = [word for word in difference.split() if not any(letter.isdigit() or letter in "'\"[(" for letter in word)]
    return " ".join(words[:4])[:KIND]


def _size(script: Script) -> int:
    return len(
        msgspec.json.encode(msgspec.to_builtins(script.steps, builtin_types=(bytes,), str_keys=True), enc_hook=repr)
    )


def _of(script: Script, steps: list[Step]) -> Script:
    return Script(script.seed, script.memory, tuple(steps), script.folder)


def _without_steps(script: Script) -> Iterator[Script]:
    steps = list(script.steps)
    width = max(1, len(steps) // 2)
    while width:
        for at in range(len(steps) - width, -1, -width):
            yield _of(script, steps[:at] + steps[at + width :])
        width //= 2


def _batches(script: Script, change: Callable[[Batch], Iterator[Batch]]) -> Iterator[Script]:
    steps = list(script.steps)
    for at in range(len(steps) - 1, -1, -1):
        step = steps[at]
        if isinstance(step, Batch):
            for other in change(step):
                yield _of(script, [*steps[:at], other, *steps[at + 1 :]])


def _without_requests(script: Script) -> Iterator[Script]:
    def change(batch: Batch) -> Iterator[Batch]:
        for number, group in enumerate(batch.groups):
            rest = batch.groups[:number], batch.groups[number + 1 :]
            if len(batch.groups) > 1:
                yield Batch((*rest[0], *rest[1]), batch.end, batch.follow)
            if len(group) > 1:
                for at in range(len(group)):
                    yield Batch((*rest[0], group[:at] + group[at + 1 :], *rest[1]), batch.end, batch.follow)

    return _batches(script, change)


def _without_statements(script: Script) -> Iterator[Script]:
    def change(batch: Batch) -> Iterator[Batch]:
        for number, group in enumerate(batch.groups):
            for at, asked in enumerate(group):
                if len(asked.statements) < 2:
                    continue
                for gone in range(len(asked.statements)):
                    fewer = msgspec.structs.replace(
                        asked, statements=asked.statements[:gone] + asked.statements[gone + 1 :]
                    )
                    changed = (*group[:at], fewer, *group[at + 1 :])
                    yield Batch((*batch.groups[:number], changed, *batch.groups[number + 1 :]), batch.end, batch.follow)

    return _batches(script, change)


def _plainer(script: Script) -> Iterator[Script]:
    """Batches that end as they usually do, with followers that follow; sets of parameters one fewer."""

    def change(batch: Batch) -> Iterator[Batch]:
        if batch.end != "commit":
            yield Batch(batch.groups, "commit", batch.follow)
        if batch.follow != 7:
            yield Batch(batch.groups, batch.end, 7)
        for number, group in enumerate(batch.groups):
            for at, asked in enumerate(group):
                for place, statement in enumerate(asked.statements):
                    if len(statement.sets) > 1:
                        less = msgspec.structs.replace(statement, sets=statement.sets[: len(statement.sets) // 2])
                        statements = (*asked.statements[:place], less, *asked.statements[place + 1 :])
                        other = msgspec.structs.replace(asked, statements=statements)
                        changed = (*group[:at], other, *group[at + 1 :])
                        groups = (*batch.groups[:number], changed, *batch.groups[number + 1 :])
                        yield Batch(groups, batch.end, batch.follow)

    return _batches(script, change)
