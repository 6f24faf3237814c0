"""What arrives together: as in the real driver, requests that wait are handed over as one event."""

from collections.abc import Iterable, Iterator

from quorate.core.calls import Request, Requests
from quorate.core.kernel import Event

ASKED = frozenset({Request, Requests})


def together(events: Iterable[Event]) -> Iterator[Event]:
    """These events in order, requests that follow each other in one."""
    asked: list[Request] = []
    for event in events:
        if type(event) is Request:
            asked.append(event)
            continue
        if asked:
            yield Requests(tuple(asked))
            asked = []
        yield event
    if asked:
        yield Requests(tuple(asked))


def requests_of(event: Event) -> tuple[Request, ...]:
    """Those that an event hands over."""
    if type(event) is Request:
        return (event,)
    return event.requests if type(event) is Requests else ()
