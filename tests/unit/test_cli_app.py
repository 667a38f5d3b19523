import json
import os
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
from agent.reporting import status_file
from agent.status import Status
from agent.version import VERSION
from partitioning.errors import DiskBusy, ExplainedError
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_request_common import BASE, SECRET

__all__ = ["command"]

COMMANDS = ["disks", "plan", "deploy", "status", "cancel", "serve"]
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
    "--efi-bootloader-path",
    "--rivals",
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
    assert said == command(name, "-h")
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
        (["nonsense"], "No such command"),
        (["status", "request.json"], "Unexpected extra argument"),
        (["deploy", "a", "b"], "Unexpected extra argument"),
        (["deploy", "--url"], "--url: it needs a value."),
        (["deploy", "--disk-group-id", "x"], "--disk-group-id: an integer is expected."),
        (["deploy", "--sector-size", "4k"], "--sector-size"),
        (["status", "--json=yes"], "does not take a value"),
        (["plan", "--disk", ""], "--disk: the path is empty."),
        (["plan", "--ca-file", ""], "--ca-file: the path is empty."),
    ],
)
def test_a_wrong_command_line(command: CommandLine, words: list[str], reason: str) -> None:
    said = command(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: ")
    assert reason in said.err
    assert "What to do: " in said.err


def test_an_error_names_the_command_it_is_about(command: CommandLine) -> None:
    said = command("status", "--nonsense")
    assert said.err.startswith("Error: The command line of byoi-agent status is wrong.\n")
    assert said.err.endswith("What to do: Look at: byoi-agent status --help\n")
    meant = command("plan", "--userdata", "x")
    assert "What to do: Is --user-data meant? Look at: byoi-agent plan --help\n" in meant.err
    assert "A value with a space in it needs quotes." in command("plan", "a", "b").err
    assert command("nonsense").err.startswith("Error: The command line is wrong.\n")
    assert "What to do: Is deploy meant? Look at: byoi-agent --help\n" in command("deplyo").err


def test_a_wrong_request(command: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text('{"URL": "ftp://h/", "type": "raw"}')
    for name in (["plan"], ["deploy", "--yes"]):
        said = command(*name, str(path))
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(
            "Error: The request is wrong: URL: only http, https and file are known.\n  "
        )


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
    "words",
    [
        ["deploy", "--yes", "--http-header", "X-Token:", SECRET, "request.json"],
        ["deploy", "--yes", SECRET],
        ["deploy", "--yes", SECRET.replace("\0", "") + "\0"],
        ["plan", "--user-data", f"@{SECRET}"],
        ["plan", "--disk-group-id", SECRET],
        ["plan", f"-{SECRET}"],
        ["plan", f"--{SECRET}"],
        [SECRET],
    ],
)
def test_no_value_is_repeated(command: CommandLine, words: list[str]) -> None:
    for more in ([], ["--json"]):
        said = command(*words, *more)
        assert said.code == 2
        assert SECRET not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "code", "whole"),
    [
        (["deploy", "--json", "--nonsense"], 2, True),
        (["deploy", "--json", "--url", "ftp://h/"], 2, True),
        (["plan", "--json", "--url", "ftp://h/", "--type", "raw"], 2, True),
        (["status", "--json"], 3, False),
        (["status", "--json", "--nonsense"], 2, False),
        (["cancel", "--json"], 2, False),
        (["disks", "--json", "--config", "/nonexistent/groups.toml"], 3, False),
    ],
)
def test_json_gets_the_failure_too(command: CommandLine, words: list[str], code: int, whole: bool) -> None:
    said = command(*words)
    assert said.code == code
    (line,) = map(json.loads, said.out.splitlines())
    assert (line["v"], line["event"], line["exitCode"], line["status"]) == (1, "error", code, "error")
    assert all(line[name] and line[name] in said.err for name in ("message", "detail", "hint"))
    assert ("diskTouched" in line) == whole


def test_a_defect_outside_of_a_deployment(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise ValueError(SECRET)

    monkeypatch.setattr(app, "app", fail)
    said = command("status")
    assert (said.code, SECRET in said.err) == (1, False)
    assert said.err.startswith("Error: The agent has a defect.\n  ValueError at test_cli_app.py:")


def test_a_run_directory_that_can_not_be_made(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BYOI_AGENT_RUN_DIR", str(tmp_path / "file/run"))
    for words in (["status"], ["cancel"], ["deploy", "--yes", "--url", "http://h/", "--type", "raw"]):
        said = command(*words)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("Error: The run directory can not be used.\n")


@pytest.mark.parametrize("name", ["lock", "log", "status.new"])
def test_a_file_of_the_run_directory_that_can_not_be_made(command: CommandLine, name: str) -> None:
    (command.where.path / name).mkdir()
    (command.where.path / name / "in the way").touch()
    said = command("deploy", "--yes", "--json", "--url", "http://127.0.0.1:1/", "--type", "raw")
    assert said.code == 3
    line = json.loads(said.out.splitlines()[-1])
    assert (line["event"], line["exitCode"], line["diskTouched"]) == ("error", 3, False)
    assert str(command.where.path) in line["detail"]


def agent_process(
    where: Path, redirections: str, *words: str, stdout: int = subprocess.PIPE, encoding: str = "utf-8"
) -> "subprocess.CompletedProcess[str]":
    own = {"PYTHONPATH": str(Path(__file__).parents[2]), "BYOI_AGENT_RUN_DIR": str(where)}
    argv = ["sh", "-c", f'exec "$0" -m agent "$@" {redirections}', sys.executable, *words]
    return subprocess.run(
        argv,
        env=own | {"PYTHONIOENCODING": encoding},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def test_standard_streams_that_are_closed(tmp_path: Path) -> None:
    where = tmp_path / "run"
    deploy = ["deploy", "--url", "http://127.0.0.1:1/", "--type", "raw", "--disk", str(tmp_path / "none")]
    asked = agent_process(where, "<&-", *deploy)
    assert (asked.returncode, "--yes is missing" in asked.stderr) == (2, True), asked.stderr
    empty = agent_process(where, "<&-", "deploy", "-", "--yes")
    assert (empty.returncode, "Traceback" in empty.stderr) == (2, False), empty.stderr
    mute = agent_process(where, ">&- 2>&-", *deploy, "--yes", "--json")
    assert (mute.returncode, mute.stdout, mute.stderr) == (3, "", "")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    status_file.write(tmp_path / "status.json", Status(servername="a", started_at="x"))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for words in (["status", "--json"], ["status"]):
            said = agent_process(tmp_path, "", *words, stdout=writing)
            assert said.stderr == ""
        failed = agent_process(tmp_path, "", "cancel", "--json", stdout=writing)
        assert (failed.returncode, "Traceback" in failed.stderr) == (2, False)
        assert failed.stderr.startswith("Error: The command line of byoi-agent cancel is wrong.\n")
    finally:
        os.close(writing)


def test_letters_that_standard_output_does_not_have(tmp_path: Path) -> None:
    status_file.write(tmp_path / "status.json", Status(servername="Žižkov ←", started_at="x"))
    said = agent_process(tmp_path, "", "status", encoding="latin-1")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("\\u017di\\u017ekov \\u2190: ")


def help_process(script: str) -> list[str]:
    own = {"PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-c", script, "--help"]
    return subprocess.run(argv, env=own, capture_output=True, text=True, check=True).stdout.split()


def test_nothing_more_is_imported_for_the_help() -> None:
    script = "import sys; from agent.cli.app import run; run(); print(*sorted(sys.modules))"
    loaded = set(help_process(script))
    assert {"typer", "agent.cli.commands"} <= loaded
    assert not {"pydantic", "requests", "urllib3", "rich", "pycdlib", "pyudev", "isal", "zstandard"} & loaded


def test_the_help_comes_at_once() -> None:
    # Seconds of the processor, and the best of some: other processes may be in the way.
    seconds = []
    for _ in range(5):
        before = os.times()
        said = help_process("from agent.__main__ import main; main()")
        after = os.times()
        taken = (after.children_user - before.children_user, after.children_system - before.children_system)
        seconds.append(sum(taken))
        assert "deploy" in said
    assert min(seconds) < 0.25


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
    said = command("status")
    assert (said.code, said.out) == (130, "")
    assert said.err.startswith("Error: The command was interrupted.\n")
    assert json.loads(command("deploy", "--json").out)["exitCode"] == 130


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
