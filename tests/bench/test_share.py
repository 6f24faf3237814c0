"""What a node's loop does with its time."""

import os
import time

import pytest
from bench.share import Reading, Share, Watch, describe, read, share


def test_the_parts_of_the_time_add_up() -> None:
    found = share(Reading(1.0, 0.5, 0.25), Reading(2.0, 0.75, 0.5), 2.0, 0.1)
    assert (found.user, found.kernel, found.core, found.disk) == (0.5, 0.125, 0.125, 0.1)
    assert found.others == pytest.approx(0.15)


def test_sampling_that_saw_too_much_leaves_nothing_for_others() -> None:
    assert share(Reading(0, 0, 0), Reading(1.0, 0, 0), 1.0, 0.1).others == 0.0


def test_this_thread_is_seen_computing() -> None:
    before = read(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = read(os.getpid())
    assert after.user_s + after.kernel_s > before.user_s + before.kernel_s


def test_a_watch_tells_of_every_process() -> None:
    watch = Watch([os.getpid(), os.getppid()], 0.0, 0.02)
    watch.run()
    assert set(watch.shares) == {os.getpid(), os.getppid()}


def test_computing_is_told_with_the_kernels_part_in_it() -> None:
    text = "  leader    computing 0.75 (kernel 0.25), waiting for a core 0.12, for the disk 0.05, for others 0.08"
    assert describe("leader", Share(0.5, 0.25, 0.12, 0.05, 0.08)) == text
