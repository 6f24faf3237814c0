"""`quorate user` and `quorate token`: who may log in to a cluster, and what they may do there."""

import sys
from typing import Any

import click

import quorate
from quorate.cli.output import (
    Exit,
    Fail,
    Seconds,
    aligned,
    cluster_option,
    find_cluster,
    is_person,
    json_option,
    print_json,
    progress,
)


@click.group(short_help="List, make, change and delete users.")
def user() -> None:
    """Who may log in to a cluster, and what they may do. As soon as there is one user, everybody has to log in.

    Log in yourself with a URL that names you (quorate://ann@host), or with QUORATE_USER.
    """


def _timeout(command: Any) -> Any:
    seconds = Seconds(0.1)
    return click.option("--timeout", type=seconds, default=10.0, show_default=True, help="Seconds to wait.")(command)


def _role(command: Any) -> Any:
    return click.option("--database", default="", metavar="NAME", help="A role of this database; else the cluster.")(
        command
    )


def _password_option(command: Any) -> Any:
    return click.option(
        "--password-stdin", "from_stdin", is_flag=True, help="Read the new password from standard input."
    )(command)


def _certificate(command: Any) -> Any:
    text = "No password: NAME logs in by a certificate (`quorate certs user`)."
    return click.option("--certificate", is_flag=True, help=text)(command)


def new_password(name: str, *, from_stdin: bool) -> str:
    """From the terminal, twice, or one line of standard input. Raises Fail."""
    if from_stdin:
        line = sys.stdin.readline().rstrip("\n")
        if line:
            return line
    elif is_person():
        text: str = click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True)
        return text
    raise Fail("no password was given", Exit.USAGE, "run this in a terminal, or write one to --password-stdin")


@user.command("list")
@cluster_option
@json_option
def list_(cluster: str | None, as_json: bool) -> None:
    """Show every user, with roles and tokens."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        users = found.users.list()
    if as_json:
        print_json(users)
        return
    rows = [("user", "login", "cluster", "databases", "tokens")]
    for each in users:
        databases = "; ".join(f"{name}: {', '.join(roles)}" for name, roles in each.databases.items())
        rows.append((each.name, each.login, ", ".join(each.roles), databases, ", ".join(each.tokens)))
    for line in aligned(rows):
        click.echo(line)


@user.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="Give them the role admin. The first user of a cluster needs it.")
@_certificate
@_password_option
@_timeout
@cluster_option
def create(name: str, admin: bool, certificate: bool, from_stdin: bool, timeout: float, cluster: str | None) -> None:
    """Make the user NAME. From the first one on, every client has to log in."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        password = None if certificate else new_password(name, from_stdin=from_stdin)
        found.users.create(name, password, admin=admin, timeout=timeout)
    progress(f"{name} can log in" + (" and is an admin" if admin else "; `quorate user grant` gives them roles"))


@user.command()
@click.argument("name")
@_certificate
@_password_option
@_timeout
@cluster_option
def passwd(name: str, certificate: bool, from_stdin: bool, timeout: float, cluster: str | None) -> None:
    """Give the user NAME another password. Who is logged in with the old one has to log in again."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        password = None if certificate else new_password(name, from_stdin=from_stdin)
        found.users.set_password(name, password, timeout=timeout)
    progress(f"{name} logs in by a certificate" if certificate else f"{name} has a new password")


@user.command()
@click.argument("name")
@click.argument("role")
@_role
@_timeout
@cluster_option
def grant(name: str, role: str, database: str, timeout: float, cluster: str | None) -> None:
    """Give the user NAME the role ROLE: read, write, schema or owner of a database; monitor, backup, operator or admin
    of the cluster."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.users.grant(name, role, database=database, timeout=timeout)
    progress(f"{name} has the role {role}" + (f" of {database}" if database else ""))


@user.command()
@click.argument("name")
@click.argument("role")
@_role
@_timeout
@cluster_option
def revoke(name: str, role: str, database: str, timeout: float, cluster: str | None) -> None:
    """Take the role ROLE away from the user NAME. In force on return, on open connections too."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.users.revoke(name, role, database=database, timeout=timeout)
    progress(f"{name} has not the role {role}" + (f" of {database}" if database else ""))


@user.command()
@click.argument("name")
@_timeout
@cluster_option
def delete(name: str, timeout: float, cluster: str | None) -> None:
    """Delete the user NAME, with all roles and tokens. Their connections end."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.users.delete(name, timeout=timeout)
    progress(f"{name} cannot log in any more")


@click.group(short_help="Make and delete tokens, with which programs log in.")
def token() -> None:
    """Tokens with which programs log in in a user's name. `quorate user list` shows their ids."""


@token.command("create")
@click.argument("user_name", metavar="USER")
@click.option("--days", type=click.FloatRange(0.001, 36500), default=365.0, show_default=True, help="Until it expires.")
@_timeout
@cluster_option
@json_option
def create_token(user_name: str, days: float, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Make a token for USER and print it, this once. It is given as QUORATE_TOKEN or connect(token=)."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        made = found.users.create_token(user_name, days=days, timeout=timeout)
    if as_json:
        print_json({"user": user_name, "token": made})
    else:
        click.echo(made)
        progress("it is shown this once, and kept nowhere")


@token.command("delete")
@click.argument("name", metavar="ID")
@_timeout
@cluster_option
def delete_token(name: str, timeout: float, cluster: str | None) -> None:
    """Delete the token with this ID. Connections that are logged in with it end."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.users.delete_token(name, timeout=timeout)
    progress(f"nobody can log in with {name} any more")
