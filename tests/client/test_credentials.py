"""Who a program is: where that comes from, and that nothing of it is shown."""

from pathlib import Path

import pytest

import quorate
from quorate.client import credentials
from quorate.client.credentials import NOBODY, Credentials, check_login, find_login, joined_token, split_token
from quorate.client.links import Greeting, LinkLost
from quorate.client.url import parse_cluster_url
from quorate.core.auth.access import OFF, ON
from quorate.wire.frames import HEADER
from quorate.wire.handshake import NODE, Hello, greeting, refusal
from quorate.wire.login import LoginRefused

SECRET = "hush:hush@hush"


def node(logins: str) -> bytes:
    return greeting(Hello(NODE, cluster="c", node=1, logins=logins))[HEADER.size :]


def test_a_url_names_a_user_and_loses_the_password() -> None:
    target = parse_cluster_url("quorate://ann:hush%3Ahush%40hush@10.0.0.1,10.0.0.2:8000/shop")
    assert target.login.user == "ann"
    assert target.addresses == ("10.0.0.1:7654", "10.0.0.2:8000")
    assert target.login.current()[0] == "ann"
    assert "hush" not in repr(target)


@pytest.mark.parametrize(
    "url", ["quorate://:hush@h/shop", "quorate://a b:hush@h", "quorate://ann:hush@h:x/shop", "quorate://ann:hu#sh@h"]
)
def test_an_error_about_a_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(quorate.ProgrammingError) as caught:
        parse_cluster_url(url)
    assert "hush" not in str(caught.value)
    assert "hu#sh" not in str(caught.value)


def test_arguments_go_before_the_url_and_that_before_the_environment(tmp_path: Path) -> None:
    url = parse_cluster_url("quorate://bob:b@h").login
    environment = {"QUORATE_USER": "carl", "QUORATE_PASSWORD": "c"}
    assert find_login(check_login("ann", "a", None), url, environment).user == "ann"
    assert find_login(NOBODY, url, environment).user == "bob"
    assert find_login(NOBODY, NOBODY, environment).user == "carl"
    assert not find_login(NOBODY, NOBODY, {})
    found = find_login(check_login("ann", None, None), NOBODY, {"QUORATE_PASSWORD": "c"})
    assert (found.user, found.needs_password()) == ("ann", False)
    assert find_login(NOBODY, NOBODY, {"QUORATE_TOKEN": "qt_a_b"}).current()[0] == "token:a"
    file = tmp_path / "credentials.toml"
    file.write_text('[dora]\npassword = "d"\n[prog]\ntoken = "qt_x_y"\n')
    file.chmod(0o600)
    assert find_login(NOBODY, NOBODY, {"QUORATE_CREDENTIALS": str(file)}).user == "dora"
    by_name = {"QUORATE_CREDENTIALS": str(file), "QUORATE_USER": "prog"}
    assert find_login(NOBODY, NOBODY, by_name).current()[0] == "token:x"


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text(f'[ann]\npassword = "{SECRET}"\n')
    file.chmod(0o640)
    with pytest.raises(quorate.ProgrammingError, match="can be read by others") as caught:
        find_login(NOBODY, NOBODY, {"QUORATE_CREDENTIALS": str(file)})
    assert "hush" not in str(caught.value)
    file.chmod(0o600)
    file.write_text(f"[ann\npassword = {SECRET}")
    with pytest.raises(quorate.ProgrammingError, match="not a file of credentials") as caught:
        find_login(NOBODY, NOBODY, {"QUORATE_CREDENTIALS": str(file)})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "password", "token"),
    [(None, SECRET, None), ("ann", SECRET, "qt_a_b"), ("a b", None, None), ("ann", 5, None), ("ann", "", None)],
)
def test_what_cannot_be_a_login_is_refused_and_not_shown(user: str, password: str, token: str) -> None:
    with pytest.raises(quorate.ProgrammingError) as caught:
        check_login(user, password, token)
    assert "hush" not in str(caught.value)


def test_a_function_is_asked_at_each_login() -> None:
    asked: list[int] = []

    def give() -> str:
        asked.append(1)
        return "pencil"

    login = Credentials("ann", give)
    for _ in range(2):
        _, salt_password = login.current()
        salt_password(bytes(16), 4096)
    assert len(asked) == 2
    with pytest.raises(quorate.AuthenticationError, match="gave no text"):
        Credentials("ann", lambda: "").current()


def test_the_salted_password_is_made_once_and_anew_for_another_password() -> None:
    words = ["pencil", "pencil", "other"]
    login = Credentials("ann", lambda: words.pop(0))
    made = [login.current()[1](bytes(16), 4096) for _ in range(3)]
    assert made[0] is made[1]
    assert made[2] != made[0]


def test_only_the_command_line_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(quorate.AuthenticationError, match="has no password here"):
        Credentials("ann").current()
    monkeypatch.setattr(credentials, "ask_person", lambda user: f"of {user}")
    assert Credentials("ann").current()[0] == "ann"


def test_a_token_is_taken_apart_and_wrong_ones_are_not_shown() -> None:
    assert split_token(joined_token("abc", "d_e")) == ("token:abc", "d_e")
    for token in ("hush", "qt_hush", "xx_hush_hush", "qt__hush"):
        with pytest.raises(quorate.AuthenticationError) as caught:
            split_token(token)
        assert "hush" not in str(caught.value)


def test_nothing_is_shown_of_a_login() -> None:
    for login in (Credentials("ann", SECRET), Credentials("", None, "qt_a_hush")):
        assert "hush" not in repr(login) + str(login)


def test_a_client_with_a_login_does_not_go_on_where_nobody_has_to_log_in() -> None:
    with pytest.raises(LinkLost) as caught:
        Greeting("", Credentials("ann", SECRET)).take(node(OFF))
    assert isinstance(caught.value.login, quorate.AuthenticationError)
    with pytest.raises(LinkLost) as caught:
        Greeting("", Credentials("ann", SECRET)).take(node(""))
    assert caught.value.login is None


def test_a_client_without_a_login_is_told_that_it_needs_one() -> None:
    with pytest.raises(LinkLost) as caught:
        Greeting("", NOBODY).take(node(ON))
    assert "asks for a login" in str(caught.value.login)
    met = Greeting("", NOBODY)
    assert met.take(node(OFF)) == b""
    assert met.done


@pytest.mark.parametrize("bad", [node(ON), refusal(LoginRefused("no"))[HEADER.size :], b"", b"\xc1"], ids=repr)
def test_a_node_that_answers_something_else_ends_the_login(bad: bytes) -> None:
    met = Greeting("", Credentials("ann", SECRET))
    assert met.take(node(ON))
    with pytest.raises(Exception, match=r".") as caught:
        met.take(bad)
    assert "hush" not in str(caught.value)
    assert not met.done


def test_a_folder_has_no_users(tmp_path: Path) -> None:
    with pytest.raises(quorate.ProgrammingError, match="has no users"):
        quorate.connect(tmp_path / "shop", user="ann", password=SECRET)
