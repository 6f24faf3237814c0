"""Mixes of dials that were each made to show one bug which the other scenarios had ceased to show."""

import random

from quorate.core.settings import Settings
from quorate.lab.sim.dials import MILLISECOND, SECOND, Dials


def rebuilds(dice: random.Random) -> Dials:
    """A replica that is found damaged and rebuilt again and again, while what it acknowledged before is still on its
    way and the third one is away: what an acknowledgement of an earlier life would make a majority of."""
    return Dials(
        nodes=3,
        clients=dice.randint(3, 6),
        safety_us=8 * SECOND,
        delay_us=dice.choice((1, 5, 20)) * MILLISECOND,
        tail_us=dice.choice((5, 30)) * MILLISECOND,
        echo=1.0,
        loss=dice.choice((0.1, 0.3)),
        hints=0.0,
        fsync_us=dice.choice((2, 10)) * MILLISECOND,
        partition_us=dice.choice((300, 700)) * MILLISECOND,
        slow_disk_us=500 * MILLISECOND,
        flip_data_us=100 * MILLISECOND,
        fault_lasts_us=dice.choice((200, 500)) * MILLISECOND,
        leaders_first=0.0,
        think_us=0,
        reads=4,
        writes=6,
        settings=Settings(
            heartbeat_us=50 * MILLISECOND,
            suspect_us=600 * MILLISECOND,
            election_us=150 * MILLISECOND,
            retry_us=200 * MILLISECOND,
            checkpoint_entries=dice.choice((2, 20)),
            apply_delay_us=dice.choice((0, 20)) * MILLISECOND,
        ),
    )
