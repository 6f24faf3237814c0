"""`quorate up`: a cluster of local processes, in the foreground."""

import queue
import signal
import threading
from pathlib import Path
from types import FrameType

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress
from quorate.client.url import DEFAULT_PORT
from quorate.runtime.cluster import HOST, LocalCluster, NotReady
from quorate.runtime.founding import CLUSTER_FILE, read_cluster_file, taken_port
from quorate.runtime.signals import ignore_what_stops


@click.command(short_help="Start a local cluster, and keep it running.")
@click.option("--nodes", type=click.IntRange(1, 64), help="How many nodes a new cluster gets. Default 3.")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Its folder.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535 - 64),
    help=f"Where the first node of a new cluster listens; the others follow. 0: any free ports. Default {DEFAULT_PORT},"
    " or free ports when those are taken.",
)
@click.option("--tls", is_flag=True, help="Encrypt everything, with an authority made in DIR/ca.")
@json_option
def up(nodes: int | None, folder: Path, port: int | None, tls: bool, as_json: bool) -> None:
    """Start a local cluster and keep it running until Ctrl-C or SIGTERM.

    A new or empty DIR becomes a new cluster; otherwise the one in it is started again, on the same ports.
    DIR/cluster.json says where each node is and what its process id is. A node that dies is reported, not restarted.
    One whose folder is gone is reported, and the others are started.
    """
    ports: range | tuple[()] = ()
    if (folder / CLUSTER_FILE).exists():
        there = len(read_cluster_file(folder).nodes)
        if nodes not in (None, there):
            raise Fail(f"{folder} holds a cluster of {there} nodes, not {nodes}", Exit.USAGE)
        if tls and not read_cluster_file(folder).ca:
            raise Fail(f"{folder} holds a cluster without certificates", Exit.USAGE, "make a new one with --tls")
    else:
        ports = _ports(port, nodes or 3)
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell lets what it starts with & ignore SIGINT
        signal.signal(number, _interrupt)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        cluster = LocalCluster.start(nodes or 3, folder, ports=ports, tls=tls)
    except NotReady as error:
        raise Fail(f"the cluster did not start: {error}", Exit.UNAVAILABLE) from error
    with cluster:
        try:
            _tell(cluster, as_json=as_json)
            _watch(cluster)
        except KeyboardInterrupt:
            progress("stopping")
            cluster.stop()
            return
    raise Fail("every node has died")


def _tell(cluster: LocalCluster, *, as_json: bool) -> None:
    """Who runs where."""
    _settle_members(cluster)
    for name in cluster.lost:
        progress(
            f"{name} is not started: its folder is gone. A new node can take its place: quorate init {cluster.folder}"
            f" --join {cluster.url}, start it, and quorate member replace {name} ADDRESS"
        )
    for name in _started(cluster):
        place = cluster.place(name)
        progress(f"{name}: {place.address}, pid {place.pid}, log {cluster.folder / name / 'node.log'}")
    progress(f"ready: {cluster.url}")
    if as_json:
        print_json(read_cluster_file(cluster.folder))


def _started(cluster: LocalCluster) -> list[str]:
    return [name for name in cluster.names if name not in cluster.lost]


def _ports(first: int | None, count: int) -> range | tuple[()]:
    """Where a new cluster's nodes listen; nothing: on free ports. Raises Fail when those that were asked for are
    taken."""
    if first == 0:
        return ()
    ports = range(first or DEFAULT_PORT, (first or DEFAULT_PORT) + count)
    taken = taken_port(HOST, ports)
    if taken and first:
        raise Fail(f"somebody listens on port {taken} already", Exit.USAGE, "choose another --port; 0: any free ones")
    return () if taken else ports


def _settle_members(cluster: LocalCluster) -> None:
    """Nodes may have been taken out of the cluster, or taken into it, by somebody who did not know of this folder."""
    reports = [report for name in cluster.names if (report := cluster.status(name)) is not None and not report.removed]
    if not reports:
        return
    members = {member.name: member for member in max(reports, key=lambda report: report.changes).members}
    for name in cluster.names:
        if name not in members:
            rest = "" if name in cluster.lost else "; its folder can be deleted"
            cluster.forget(name)
            progress(f"{name} was taken out of the cluster and is not started any more{rest}")
    for name in sorted(members.keys() - set(cluster.names)):
        progress(f"{name} at {members[name].address} is a member and not in this folder: start it with quorate serve")


def _watch(cluster: LocalCluster) -> None:
    """Say when a node's process ends; return when none is left."""
    ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    names = _started(cluster)
    for name in names:
        threading.Thread(target=_wait, args=(cluster, name, ended), daemon=True).start()
    for _ in names:
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
    ignore_what_stops()
    raise KeyboardInterrupt
