"""What to say when an answer does not fit into a frame."""

import msgspec
from msgspec import structs

from quorate.core.requests import Answer, Done, ReplyBody

_TRUNCATED = msgspec.Raw(msgspec.msgpack.encode(Done((), truncated=True)))


def shortened(body: ReplyBody) -> Answer:
    """The same answer without its rows. Only a write can get here (the driver refuses reads that are too
    large), and a write that happened must not be answered by anything that means "not done"."""
    return structs.replace(body, outcome=_TRUNCATED) if isinstance(body, Answer) else Answer(_TRUNCATED)
