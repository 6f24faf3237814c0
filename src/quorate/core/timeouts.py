"""Time-outs from what the network was measured to do: how late a peer's word may be before it means anything.

Every heartbeat's answer measures a round trip, every heartbeat that arrives measures how late it is. Both are smoothed
as TCP smooths its round trips: a mean, and a mean deviation (Jacobson 1988, appendix A; RFC 6298, section 2: gains of
1/8 and 1/4, and a bound of four deviations above the mean). From them:

- *suspicion*: `BEATS` heartbeats, and the bounds of both on top;
- *election*: twice the bound of a round trip, so that votes come back before the candidate gives them up;
- *retry*: the same for one peer, so that what is only under way is not sent again.

The configured times are floors. The ceiling of suspicion is `Settings.suspect_max_us`; the other two may grow by the
same factor. Equal floor and ceiling mean fixed times. Being wrong costs time and never a promise: a needless election
is survived as any other is.
"""

from collections.abc import Iterable

from quorate.core.settings import Settings

BEATS = 3
"""Heartbeats that may be lost one after the other before silence means something."""


class Smoothed:
    """A measured time: its mean and how far it strays, in microseconds. Forgets what is old by a factor of 8 or 4."""

    __slots__ = ("bound_us", "deviation_us", "mean_us", "samples")

    def __init__(self) -> None:
        self.mean_us = 0
        self.deviation_us = 0
        self.samples = 0
        self.bound_us = 0
        """What the next one will hardly exceed; 0 before the first."""

    def add(self, sample_us: int) -> None:
        """One more measurement. The first counts for all (RFC 6298, 2.2)."""
        if self.samples:
            self.deviation_us += (abs(sample_us - self.mean_us) - self.deviation_us) // 4
            self.mean_us += (sample_us - self.mean_us) // 8
        else:
            self.mean_us, self.deviation_us = sample_us, sample_us // 2
        self.samples += 1
        self.bound_us = self.mean_us + 4 * self.deviation_us


class Timing:
    """What is measured of one peer, and the times that follow from it."""

    __slots__ = ("_settings", "beat_us", "lateness", "suspect_us", "trip")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.trip = Smoothed()
        """From a heartbeat to its answer."""
        self.lateness = Smoothed()
        """How much more than a heartbeat's interval lies between two heartbeats of the peer that arrive."""
        self.beat_us = 0
        """When its last heartbeat arrived; 0: none did, or not since it was silent for reasons of our own."""
        self.suspect_us = settings.suspect_us

    def answered(self, trip_us: int) -> None:
        """It answered a heartbeat after so long."""
        self.trip.add(trip_us)
        self._derive()

    def beat(self, now_us: int) -> None:
        """A heartbeat of it arrived."""
        if self.beat_us:
            self.lateness.add(max(0, now_us - self.beat_us - self._settings.heartbeat_us))
            self._derive()
        self.beat_us = now_us

    def _derive(self) -> None:
        settings = self._settings
        wanted_us = BEATS * settings.heartbeat_us + self.trip.bound_us + self.lateness.bound_us
        self.suspect_us = max(settings.suspect_us, min(wanted_us, settings.suspect_max_us))

    @property
    def retry_us(self) -> int:
        """After how long what it did not acknowledge is sent again. Asked for seldom, measured often."""
        settings = self._settings
        return max(settings.retry_us, min(2 * self.trip.bound_us, _grown(settings, settings.retry_us)))


def _grown(settings: Settings, floor_us: int) -> int:
    """The ceiling of a time, given its floor: by the factor that suspicion may grow."""
    return floor_us * settings.suspect_max_us // settings.suspect_us


def election_us(settings: Settings, peers: Iterable[Timing], needed: int) -> int:
    """How long a candidate waits at least: until so many of these peers, the quickest, have normally answered."""
    trips = sorted(peer.trip.bound_us for peer in peers)
    if not trips or needed < 1:
        return settings.election_us
    trip_us = trips[min(needed, len(trips)) - 1]
    return max(settings.election_us, min(2 * trip_us, _grown(settings, settings.election_us)))
