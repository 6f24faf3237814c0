"""`quorate up`: a cluster of local processes, in the foreground."""

import queue
import signal
import threading
from pathlib import Path
from types import FrameType

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress
from quorate.runtime.cluster import LocalCluster, NotReady
from quorate.runtime.founding import CLUSTER_FILE, read_cluster_file


@click.command()
@click.option("--nodes", type=click.IntRange(1, 64), help="How many nodes a new cluster gets. Default 3.")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Its folder.")
@json_option
def up(nodes: int | None, folder: Path, as_json: bool) -> None:
    """Start a local cluster and keep it running until Ctrl-C or SIGTERM.

    An empty DIR becomes a new cluster; otherwise the one in it is started again, on the same ports. DIR/cluster.json
    says where each node is and what its process id is. A node that dies is reported, not restarted.
    """
    if nodes is not None and (folder / CLUSTER_FILE).exists():
        there = len(read_cluster_file(folder).nodes)
        if there != nodes:
            raise Fail(f"{folder} holds a cluster of {there} nodes, not {nodes}", Exit.USAGE)
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell lets what it starts with & ignore SIGINT
        signal.signal(number, _interrupt)
    try:
        cluster = LocalCluster.start(nodes or 3, folder)
    except NotReady as error:
        raise Fail(f"the cluster did not start: {error}", Exit.UNAVAILABLE) from error
    with cluster:
        for name in cluster.names:
            place = cluster.place(name)
            progress(f"{name}: {place.address}, pid {place.pid}, log {folder / name / 'node.log'}")
        progress(f"ready: {cluster.url}")
        if as_json:
            print_json(read_cluster_file(folder))
        try:
            _watch(cluster)
        except KeyboardInterrupt:
            progress("stopping")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            cluster.stop()
            return
    raise Fail("every node has died")


def _watch(cluster: LocalCluster) -> None:
    """Say when a node's process ends; return when none is left."""
    ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for name in cluster.names:
        threading.Thread(target=_wait, args=(cluster, name, ended), daemon=True).start()
    for _ in cluster.names:
        name, code = ended.get()
        cluster.record()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        progress(
            f"{name} ended {how}; start it again with: quorate serve --config {cluster.place(name).folder}/node.toml"
        )
        if code > 0:
            progress(cluster.log_end(name, 3))


def _wait(cluster: LocalCluster, name: str, ended: "queue.SimpleQueue[tuple[str, int]]") -> None:
    ended.put((name, cluster.wait(name)))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
