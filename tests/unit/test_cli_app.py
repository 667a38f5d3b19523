import subprocess
import sys
from pathlib import Path

import pytest
import typer

from agent.cli import app, output, request_flags
from agent.cli.request_flags import RequestFlags
from agent.errors import Interrupted, Refused, RequestError
from agent.exit_codes import ExitCode
from agent.images.errors import BadFormat
from agent.version import VERSION
from partitioning.errors import DiskBusy, ExplainedError
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_request_common import BASE, SECRET

__all__ = ["command"]

COMMANDS = ["disks", "plan", "deploy", "status", "cancel"]
DOCUMENTED_FLAGS = [
    "--url",
    "--type",
    "--check-sum",
    "--check-sum-type",
    "--disk-group-id",
    "--http-header",
    "--hostname",
    "--ssh-key",
    "--user-data",
    "--meta",
    "--disk",
    "--sector-size",
    "--boot-type",
    "--staging",
    "--service-name",
    "--reboot",
    "--no-reboot",
    "--verify",
    "--erase",
    "--proxy",
    "--ca-file",
]


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help(command: CommandLine, words: list[str]) -> None:
    said = command(*words)
    assert (said.code, said.err) == (0, "")
    assert all(f"\n  {name} " in said.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(command: CommandLine, name: str) -> None:
    said = command(name, "--help")
    assert said.code == 0
    assert f"Usage: byoi-agent {name}" in said.out


@pytest.mark.parametrize("name", ["plan", "deploy"])
def test_every_documented_flag(command: CommandLine, name: str) -> None:
    words = command(name, "--help").out.replace("/", " ").split()
    assert not [flag for flag in DOCUMENTED_FLAGS if flag not in words]


def test_version(command: CommandLine) -> None:
    said = command("--version")
    assert (said.code, said.out) == (0, f"byoi-agent {VERSION}\n")
    assert VERSION[0].isdigit()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--nonsense"], "No such option: --nonsense"),
        (["deploy", "--nonsense"], "No such option: --nonsense"),
        (["nonsense"], "No such command 'nonsense'"),
        (["status", "request.json"], "unexpected extra argument"),
        (["deploy", "a", "b"], "unexpected extra argument"),
        (["deploy", "--url"], "requires an argument"),
        (["deploy", "--disk-group-id", "x"], "--disk-group-id"),
        (["deploy", "--sector-size", "4k"], "--sector-size"),
        (["status", "--json=yes"], "does not take a value"),
    ],
)
def test_a_wrong_command_line(command: CommandLine, words: list[str], reason: str) -> None:
    said = command(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: ")
    assert reason in said.err
    assert "What to do: " in said.err


def test_a_wrong_request(command: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text('{"URL": "ftp://h/", "type": "raw"}')
    for name in (["plan"], ["deploy", "--yes"]):
        said = command(*name, str(path))
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("Error: The request is wrong: URL: only http and https are known.\n  ")


def test_what_is_never_asked(command: CommandLine, tmp_path: Path) -> None:
    said = command("deploy", "--url", BASE["URL"], "--type", "raw", "--disk", str(tmp_path / "disk"))
    assert (said.code, said.out) == (2, "")
    assert "--yes is missing" in said.err


def test_no_secret_of_the_command_line_is_shown(command: CommandLine) -> None:
    words = ["--url", f"ftp://u:{SECRET}@h/?{SECRET}", "--http-header", f"A: {SECRET}", "--user-data", SECRET]
    said = command("deploy", "--yes", *words)
    assert said.code == 2
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("m", detail="d", hint="h"), 2),
        (Refused("m", detail="d", hint="h"), 3),
        (DiskBusy("m", detail="d", hint="h"), 3),
        (BadFormat("d"), 3),
        (Interrupted(2, "SIGINT"), 130),
        (Interrupted(15, "SIGTERM"), 143),
    ],
)
def test_errors_outside_of_a_deployment(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, error: ExplainedError, code: int
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(app, "app", fail)
    said = command("status")
    assert (said.code, said.out) == (code, "")
    assert said.err == f"Error: {error.message}\n  {error.detail}\n  What to do: {error.hint}\n"


def test_stopped_by_the_keyboard(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> int:
        raise typer.Abort

    monkeypatch.setattr(app, "app", stop)
    assert command("status").code == 130


def test_every_flag_of_a_request_stands_in_the_signature() -> None:
    def plain(*, flags: RequestFlags, more: bool = False) -> int:
        return ExitCode.DONE if flags.url == "u" and more else ExitCode.DEFECT

    wrapped = request_flags.with_request_flags(plain)
    names = set(RequestFlags.__dataclass_fields__)
    assert wrapped.__annotations__.keys() == names | {"more", "return"}
    assert wrapped(**dict.fromkeys(names) | {"url": "u"}, more=True) == ExitCode.DONE


def test_json_goes_out_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_json({"a": "ü\n", "b": [1]})
    assert capsys.readouterr().out == '{"a": "\\u00fc\\n", "b": [1]}\n'


def test_the_exit_code_is_that_of_the_process(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "agent", "status"]
    environment = {"BYOI_AGENT_RUN_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "There is no deployment on this server." in done.stderr
