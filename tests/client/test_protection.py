"""`tls=` and `ca=`, as arguments and in the URL."""

from pathlib import Path

import pytest

import quorate
from quorate import aio
from quorate.client.protection import OFF, VERIFY_FULL, Protection
from quorate.client.url import parse_cluster_url, with_protection

URL = "quorate://10.0.0.1/shop"


@pytest.mark.parametrize(
    ("in_url", "tls", "ca", "found"),
    [
        ("", None, None, Protection()),
        ("?ca=a.crt", None, None, Protection(ca="a.crt")),
        ("", VERIFY_FULL, None, Protection(VERIFY_FULL)),
        ("", None, Path("b.crt"), Protection(ca="b.crt")),
        ("?ca=a.crt", None, "b.crt", Protection(ca="b.crt")),
        ("?tls=off", VERIFY_FULL, None, Protection(VERIFY_FULL)),
        ("?tls=verify-full", OFF, None, Protection(OFF)),
        ("?ca=a.crt", VERIFY_FULL, None, Protection(VERIFY_FULL, "a.crt")),
    ],
)
def test_arguments_come_before_the_url(in_url: str, tls: str | None, ca: str | None, found: Protection) -> None:
    assert with_protection(parse_cluster_url(URL + in_url), tls, ca).protection == found


@pytest.mark.parametrize(
    ("in_url", "tls", "ca"), [("?ca=a.crt", OFF, None), ("?tls=off", None, "a.crt"), ("", "prefer", None)]
)
def test_what_would_not_protect_is_refused(in_url: str, tls: str | None, ca: str | None) -> None:
    with pytest.raises(quorate.ProgrammingError):
        quorate.connect(URL + in_url, tls=tls, ca=ca, lazy=True)
    with pytest.raises(quorate.ProgrammingError):
        aio.connect(URL + in_url, tls=tls, ca=ca)
    with pytest.raises(quorate.ProgrammingError):
        quorate.Cluster(URL + in_url, tls=tls, ca=ca)


def test_they_reach_every_dial() -> None:
    wanted = Protection(VERIFY_FULL, "a.crt")
    with quorate.connect(URL, tls=VERIFY_FULL, ca="a.crt", lazy=True) as db:
        assert db._client._protection == wanted  # type: ignore[attr-defined]
    with quorate.Cluster(URL, tls=VERIFY_FULL, ca="a.crt") as cluster:
        assert cluster._client._protection == wanted
    assert aio.connect(URL, tls=VERIFY_FULL, ca="a.crt")._client._protection == wanted  # type: ignore[union-attr]


def test_a_folder_takes_none(tmp_path: Path) -> None:
    for tls, ca in ((VERIFY_FULL, None), (None, "a.crt")):
        with pytest.raises(quorate.ProgrammingError, match="for clusters"):
            quorate.connect(tmp_path / "f", tls=tls, ca=ca)
        with pytest.raises(quorate.ProgrammingError, match="for clusters"):
            aio.connect(tmp_path / "f", tls=tls, ca=ca)
    assert not (tmp_path / "f").exists()
