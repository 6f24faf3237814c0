"""What a command's argument names: the folder of an embedded database, or a database of a cluster. One rule for all
commands decides which, from the text alone: a path has a separator or begins with a dot. What lies on the disk or
which databases exist changes nothing, so that a command never means something else than it meant yesterday."""

import os
from pathlib import Path
from urllib.parse import quote

from quorate.cli.output import Exit, Fail, find_cluster
from quorate.client.url import SCHEME, is_cluster, parse_cluster_url
from quorate.runtime.config import ConfigError
from quorate.storage.folder import is_node

_SEPARATORS = frozenset((os.sep, os.altsep or os.sep))


def folder_of(name: str, cluster: str | None) -> Path | None:
    """The path when this is a folder's; None for a database's name or URL. Raises Fail when `--cluster` names another
    place."""
    is_path = not is_cluster(name) and (name.startswith(".") or any(each in name for each in _SEPARATORS))
    if cluster is not None and (is_path or is_cluster(name)):
        what = "a folder's path" if is_path else "a cluster's URL"
        raise Fail(f"{name} is {what}, and --cluster names a cluster: give one of them", Exit.USAGE)
    return Path(name) if is_path else None


def embedded_folder(name: str, cluster: str | None) -> Path | None:
    """The same for a folder that must be there. Raises Fail."""
    folder = folder_of(name, cluster)
    if folder is not None and not is_node(folder):
        what = "is not the folder of an embedded database" if folder.exists() else "does not exist"
        raise Fail(f"{name} {what}", Exit.USAGE, "a database of a cluster is named without a path")
    return folder


def cluster_of(name: str, cluster: str | None) -> str:
    """The URL of the cluster that is meant, for a database's name. Raises ConfigError, or Fail with a hint when a
    folder of that name is there."""
    try:
        return find_cluster(cluster)
    except ConfigError as error:
        if is_node(Path(name)):
            raise Fail(str(error), Exit.USAGE, f"for the embedded database in that folder write ./{name}") from error
        raise


def cluster_url(name: str, cluster: str | None) -> str:
    """The URL of a database by its name in the cluster that is meant; a whole URL is taken as it is."""
    if is_cluster(name):
        return name
    place, mark, query = cluster_of(name, cluster).partition("?")
    parse_cluster_url(place)
    nodes = place[len(SCHEME) :].partition("/")[0]  # with the login, if there is one
    return f"{SCHEME}{nodes}/{quote(name, safe='')}{mark}{query}"
