"""Mutants of read views: whether a state stays as it was pinned, and whether each piece is given once."""

from typing import Any

from msgspec import structs

from quorate.core.kernel import Now
from quorate.core.read_levels import EVENTUAL
from quorate.core.read_views import OLD, ReadViews
from quorate.core.statements import Statement
from quorate.core.viewing import LetViewGo, PinView
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.viewing import Viewing


def _moves(original: Any) -> Any:
    def viewer(store: Any, effect: Any) -> Any:
        if effect.statement is not None:
            store._views[effect.view] = store.view(effect.group)()
        return original(store, effect)

    return viewer


def _any_number(original: Any) -> Any:
    def read(views: ReadViews, now: Now, request: Any, body: Any) -> None:
        view = views.kept.get(body.view)
        if view is not None and not view.waiting and body.statement is None:
            body = structs.replace(body, number=view.number + 1)
        original(views, now, request, body)

    return read


def _given_twice(original: Any) -> Any:
    def read(views: ReadViews, now: Now, request: Any, body: Any) -> None:
        view = views.kept.get(body.view)
        if view is None or view.waiting or body.number != view.number + 1 or body.number % 4 or body.statement:
            original(views, now, request, body)
        else:
            view.number += 1
            views._node.reply(request.id, view.answer)

    return read


def _pinned_anew(original: Any) -> Any:
    def expire(views: ReadViews, number: int, why: str) -> None:
        view = views.kept[number]
        if why != OLD or view.waiting or view.number < 0 or view.until_us < 0:
            original(views, number, why)
            return
        view.until_us = -1  # once
        view.number, view.opened_us, view.used_us = view.number - 1, views._node.now_us, views._node.now_us
        views._node.emit(LetViewGo(view.group, number))
        views._node.emit(PinView(view.group, number, Statement("SELECT id, note FROM marks"), 1))

    return expire


def _unconfirmed(original: Any) -> Any:
    def ask(views: ReadViews, now: Now, number: int, body: Any) -> None:
        original(views, now, number, structs.replace(body, level=EVENTUAL, strongest=False))

    return ask


MUTANTS = (
    Mutant(
        "view-moves",
        "each statement of a snapshot reads what is committed by then",
        "READ COMMITTED, taken for a snapshot (Berenson and others, 1995)",
        "streams",
        (Swap(Viewing, "_viewer", _moves),),
        ("atomicity",),
    ),
    Mutant(
        "piece-left-out",
        "a piece of a result that is asked for again is the next one: the one before is never seen",
        "no case known; why a fetch is numbered",
        "streams",
        (Swap(ReadViews, "_read", _any_number),),
        ("session", "atomicity"),
    ),
    Mutant(
        "piece-given-twice",
        "a piece that is asked for is the one that was given before",
        "no case known; the opposite of the same",
        "streams",
        (Swap(ReadViews, "_read", _given_twice),),
        ("session", "atomicity"),
    ),
    Mutant(
        "expired-view-answers",
        "a snapshot that is not kept any more is pinned anew, on what is committed by then, and nobody is told",
        "no case known; ORA-01555 (snapshot too old) is what tells it elsewhere",
        "streams",
        (Swap(ReadViews, "_expire", _pinned_anew),),
        ("atomicity", "true answer", "session"),
    ),
    Mutant(
        "unconfirmed-views",
        "a node pins what it has, without asking whether that is all that was acknowledged",
        "as unconfirmed-copies",
        "streams",
        (Swap(ReadViews, "_ask", _unconfirmed),),
        ("linearizability", "session"),
    ),
)
