from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

import quorate
from quorate import errors
from quorate.cli.main import COMMANDS, main
from quorate.cli.output import Exit, Fail, code_of, find_cluster
from quorate.runtime.config import ConfigError


def test_commands_are_listed_with_their_help() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == Exit.OK
    for name in ("init", "up", "serve", "create", "status"):
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("group", [[], ["lab"], ["lost"], ["member"]])
def test_no_line_of_a_list_of_commands_is_cut(group: list[str]) -> None:
    listed = CliRunner().invoke(main, [*group, "--help"]).stdout.partition("Commands:")[2]
    assert listed.strip()
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


def test_the_version_is_one() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout.split()[-1] == quorate.__version__ == version("quoratedb")


def test_a_command_that_is_not_there_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["explode"])
    assert result.exit_code == Exit.USAGE
    assert "explode" in result.stderr


def test_a_command_whose_module_is_missing_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "later", "quorate.cli.not_there_yet:later")
    assert "later" not in CliRunner().invoke(main, ["--help"]).stdout
    assert CliRunner().invoke(main, ["later"]).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("wrong"), Exit.USAGE),
        (errors.Unavailable("nobody"), Exit.UNAVAILABLE),
        (errors.Overloaded("busy"), Exit.UNAVAILABLE),
        (errors.DatabaseExists("there"), Exit.REFUSED),
        (errors.AlreadyOpen("open", pid=3), Exit.REFUSED),
        (errors.MaybeDone("lost", token="t"), Exit.MAYBE),
        (errors.InternalError("bug"), Exit.INTERNAL),
        (PermissionError(13, "no"), Exit.FAILED),
        (Fail("bad", Exit.UNAVAILABLE), Exit.UNAVAILABLE),
        (ZeroDivisionError(), Exit.INTERNAL),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: Exit) -> None:
    assert code_of(error) == code


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[int, str, BaseException | None]:
    @click.command()
    def fails() -> None:
        raise error

    monkeypatch.setattr("quorate.cli.data.create.create", fails)
    result = CliRunner().invoke(main, ["create"])
    return result.exit_code, result.stderr, result.exception


def test_errors_are_shown_with_their_hint_and_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    error = errors.UnknownDatabase("no database 'shop'", hint="create it first")
    code, stderr, _ = run_raising(monkeypatch, error)
    assert code == Exit.REFUSED
    assert stderr == "Error: no database 'shop'\nHint: create it first\n"


def test_what_we_did_not_expect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run_raising(monkeypatch, ZeroDivisionError("bug"))[2], ZeroDivisionError)


def test_an_interrupt_ends_with_the_shells_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_raising(monkeypatch, KeyboardInterrupt())[0] == Exit.INTERRUPTED


def test_the_cluster_is_the_option_else_the_variable_else_the_folder_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("QUORATE_URL", raising=False)
    with pytest.raises(ConfigError, match="which cluster"):
        find_cluster(None)
    (folder / "cluster.json").write_text('{"cluster": "c", "nodes": [], "url": "quorate://here"}')
    assert find_cluster(None) == "quorate://here"
    assert find_cluster(str(folder)) == find_cluster(str(folder / "cluster.json")) == "quorate://here"
    monkeypatch.setenv("QUORATE_URL", "quorate://variable")
    assert find_cluster(None) == "quorate://variable"
    assert find_cluster("quorate://option") == "quorate://option"
