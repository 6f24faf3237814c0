"""`quorate certs`: a private authority, and the certificates of nodes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import quorate
from quorate.cli.output import Seconds, cluster_option, find_cluster, json_option, print_json, progress
from quorate.core.certificates import ACCEPTED, REQUIRED
from quorate.runtime import authority

if TYPE_CHECKING:
    from cryptography import x509

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(short_help="Make, show and revoke certificates, and require TLS.")
def certs() -> None:
    """Make a private certificate authority, and certificates for nodes.

    Needs the package cryptography: pip install 'quoratedb[certs]'. Certificates of another authority serve as well.
    """


@certs.command("init")
@click.argument("folder", metavar="CA", type=FOLDER)
@click.option(
    "--days", type=click.IntRange(1, 36500), default=authority.CA_DAYS, show_default=True, help="Until it expires."
)
@json_option
def init(folder: Path, days: int, as_json: bool) -> None:
    """Make an authority in the folder CA: ca.crt and ca.key.

    ca.key signs whatever is believed in the cluster: keep it off the nodes. ca.crt is what clients name with ca=.
    """
    made = authority.make(folder, days)
    if as_json:
        print_json(described(authority.read(made)))
    else:
        progress(f"made {made}; next: quorate certs issue {folder} --node FOLDER, for each node")


@certs.command()
@click.argument("folder", metavar="CA", type=FOLDER)
@click.option(
    "--node", "nodes", metavar="FOLDER", multiple=True, required=True, type=FOLDER, help="A node's folder; repeat it."
)
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="One more name or address of it; repeat it.")
@click.option(
    "--days", type=click.IntRange(1, 36500), default=authority.NODE_DAYS, show_default=True, help="Until it expires."
)
@json_option
def issue(folder: Path, nodes: tuple[Path, ...], hosts: tuple[str, ...], days: int, as_json: bool) -> None:
    """Issue a certificate for each node, and put it into the node's folder: node.crt, node.key and ca.crt.

    node.toml names the files afterwards. A running node reads them again at SIGHUP, and every hour.
    """
    made = [authority.issue(folder, node, hosts, days) for node in nodes]
    if as_json:
        print_json([described(each) for each in made])
    else:
        for node, each in zip(nodes, made, strict=True):
            progress(f"{node / authority.CERTIFICATE}: {_line(described(each))}")


@certs.command("user")
@click.argument("folder", metavar="CA", type=FOLDER)
@click.argument("name")
@click.option("--to", "target", metavar="FOLDER", default=".", type=FOLDER, help="Where to put the files.")
@click.option(
    "--id", "cluster_id", metavar="ID", default="", help="The cluster's id; else that of CA's other certificates."
)
@click.option(
    "--days", type=click.IntRange(1, 36500), default=authority.NODE_DAYS, show_default=True, help="Until it expires."
)
@json_option
def issue_user(folder: Path, name: str, target: Path, cluster_id: str, days: int, as_json: bool) -> None:
    """Issue a certificate that logs the user NAME in: NAME.crt and NAME.key.

    A user who was made with `quorate user create NAME --certificate` connects with certificate= and key=.
    """
    made = authority.issue_user(folder, name, cluster_id, target, days)
    if as_json:
        print_json(described(made))
    else:
        progress(f"{target / name}.crt: {_line(described(made))}")


@certs.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def show(files: tuple[Path, ...], as_json: bool) -> None:
    """Show what certificates say: whose they are, for which hosts, and until when."""
    found = [described(authority.read(path)) for path in files]
    if as_json:
        print_json(found)
    else:
        for path, each in zip(files, found, strict=True):
            click.echo(f"{path}: {_line(each)}")


def _timeout(command: Any) -> Any:
    seconds = Seconds(0.1)
    return click.option("--timeout", type=seconds, default=10.0, show_default=True, help="Seconds to wait.")(command)


@certs.command()
@cluster_option
@_timeout
def accept(cluster: str | None, timeout: float) -> None:
    """Take TLS as well as plain text: the first step of a running cluster from the one to the other.

    Issue every node its certificate then, and restart them one by one; move the clients too. Nodes that have
    certificates dial each other by TLS, and never in plain text again.
    """
    _set(cluster, ACCEPTED, timeout)
    progress("TLS is accepted; give each node its certificate, then: quorate certs require")


@certs.command()
@cluster_option
@_timeout
def require(cluster: str | None, timeout: float) -> None:
    """Take nothing but TLS: the last step. There is no way back.

    Refused while a member is away or has no certificate. Connections in plain text are closed, those of clients too.
    """
    _set(cluster, REQUIRED, timeout)
    progress("TLS is required")


def _set(cluster: str | None, step: str, timeout: float) -> None:
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.set_tls(step, timeout=timeout)


@certs.command()
@click.argument("what", metavar="FILE|SERIAL")
@cluster_option
@_timeout
def revoke(what: str, cluster: str | None, timeout: float) -> None:
    """Let no node believe a certificate any more, for good. Give its file (CA/issued has copies) or its serial number.

    A node that uses it is cut off until it is issued another. Connections that it was shown on are closed.
    """
    path = Path(what)
    serial = described(authority.read(path))["serial"] if path.exists() else what
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.revoke_certificate(serial, timeout=timeout)
    progress(f"revoked {serial}")


def described(certificate: "x509.Certificate") -> dict[str, Any]:
    """What a certificate says."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [str(each.value) for each in names]
    except x509.ExtensionNotFound:
        known = []
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return {
        "name": str(common[0].value) if common else "",
        "names": known,
        "serial": f"{certificate.serial_number:X}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }


def _line(certificate: dict[str, Any]) -> str:
    names = ", ".join(certificate["names"])
    return f"{certificate['name']} ({names}), until {certificate['not_after']}, serial {certificate['serial']}"
