"""Writes the manual page from the command line's own words: ``python -m agent.cli.man_page docs``.

man(7) has the macros. What the commands and their options are is asked of typer, so that none is forgotten.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from agent.cli.app import app
from agent.cli.request_flags import RequestFlags
from agent.exit_codes import ExitCode
from agent.version import VERSION

NAME = "byoi-agent.1"
_PURPOSE = "put an operating-system image onto this server's disk, so that the server boots it"
_DESCRIPTION = """\
byoi-agent runs in a server's rescue system. It downloads a cloud image (qcow2, raw or OVA), checks it,
writes it to a disk, fits the partition table and what the firmware needs to start it, adds a ConfigDrive
for cloud-init, and reads all of that back.

It erases a disk. Until everything that can be checked has been checked, nothing on any disk changes; from
the first write to the last the disk does not boot. A deployment that was cut short can be repeated with the
same request.

REQUEST is a file with a JSON object, or - for standard input. Each field has an option too, and options
win."""
_EXIT_STATUS = {
    ExitCode.DONE: "Done.",
    ExitCode.DEFECT: "A defect in the agent; what state the disk is in, the status says.",
    ExitCode.WRONG_REQUEST: "The request or the command line is wrong. The disk is untouched.",
    ExitCode.REFUSED: "Refused before anything was written.",
    ExitCode.FETCH_FAILED: "The image could not be fetched, or its sum differs. The disk is untouched,"
    " unless the image was written while it came: then it does not boot.",
    ExitCode.WRITE_FAILED: "It failed after writing had begun. The disk does not boot.",
    ExitCode.INTERRUPTED: "Interrupted from the keyboard (SIGINT).",
    ExitCode.TERMINATED: "Ended by SIGTERM, as byoi-agent cancel does it.",
}
_ENVIRONMENT = {
    "BYOI_AGENT_RUN_DIR": "Where status, lock and log of a deployment are, in place of /run/byoi-agent.",
    "BYOI_AGENT_LOADERS": "A directory with shim and GRUB for images that bring no UEFI loader.",
    "BYOI_AGENT_UNPACK_DIR": "Where the single file byoi-agent.pyz is unpacked to.",
}
_FILES = {
    "/etc/byoi-agent/disk-groups.toml": "Pins disk groups to disks.",
    "/run/byoi-agent/status.json": "The status of the last deployment.",
    "/run/byoi-agent/log": "The external commands of the last deployment, with their times.",
}
_EXAMPLES = {
    "What is missing on this system, and the line that installs it": "byoi-agent doctor",
    "Look before anything is written": "byoi-agent plan"
    " --url https://images.example/debian-12.qcow2 --type qcow2",
    "Deploy, with a name and a key for the new system": "byoi-agent deploy --url"
    " https://images.example/debian-12.qcow2 --type qcow2 --check-sum 9f86d0... --check-sum-type sha256"
    " --hostname web1 --ssh-key @id.pub --reboot",
    "From another machine": "ssh root@server byoi-agent deploy - --yes --json <request.json",
}
_SHARED = {f"--{name.replace('_', '-')}" for name in RequestFlags.__dataclass_fields__}


def man_page() -> str:
    """Give the page."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = [
        f'.TH BYOI\\-AGENT 1 "" "byoi\\-agent {VERSION}" "User Commands"',
        *_section("NAME", [f"byoi\\-agent \\- {_text(_PURPOSE)}"]),
        *_section("SYNOPSIS", _synopsis(commands)),
        *_section("DESCRIPTION", _paragraphs(_DESCRIPTION)),
        *_section("COMMANDS", (line for each in commands.items() for line in _command(*each))),
        *_section("THE REQUEST", _options(commands["deploy"].params, shared=True)),
        *_section("EXIT STATUS", _terms({str(int(code)): text for code, text in _EXIT_STATUS.items()})),
        *_section("ENVIRONMENT", _terms(_ENVIRONMENT)),
        *_section("FILES", _terms(_FILES)),
        *_section("EXAMPLES", _examples()),
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write the page into ``folder``."""
    (folder / NAME).write_text(man_page(), encoding="utf-8")


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f".SH {title}", *lines]


def _synopsis(commands: dict[str, Any]) -> Iterator[str]:
    for number, (name, command) in enumerate(commands.items()):
        arguments = "".join(f" [{p.metavar}]" for p in command.params if p.param_type_name == "argument")
        yield from ([".br"] if number else [])
        yield f"\\fBbyoi\\-agent {_text(name)}\\fR [options]{_text(arguments)}"


def _command(name: str, command: Any) -> Iterator[str]:
    yield f'.SS "byoi\\-agent {_text(name)}"'
    yield from _paragraphs(command.help)
    yield from _options(command.params, shared=False if _takes_request(command) else None)
    if _takes_request(command):
        yield from (".PP", "and the options of the request, see below.")


def _takes_request(command: Any) -> bool:
    return any(parameter.param_type_name == "argument" for parameter in command.params)


def _options(parameters: Iterable[Any], *, shared: bool | None) -> Iterator[str]:
    """Give the options that stand for fields of the request, or the others; None: all of them."""
    for parameter in parameters:
        is_option = parameter.param_type_name == "option"
        if is_option and not parameter.hidden and shared in (None, _is_shared(parameter)):
            names = ", ".join(
                f"\\fB{_text(name)}\\fR" for name in (*parameter.opts, *parameter.secondary_opts)
            )
            value = f" \\fI{_text(parameter.metavar)}\\fR" if parameter.metavar else ""
            yield from (".TP", f"{names}{value}", _text(parameter.help or ""))


def _is_shared(parameter: Any) -> bool:
    return not _SHARED.isdisjoint(parameter.opts)


def _terms(entries: dict[str, str]) -> Iterator[str]:
    for term, text in entries.items():
        yield from (".TP", f"\\fB{_text(term)}\\fR", _text(text))


def _examples() -> Iterator[str]:
    for what, command in _EXAMPLES.items():
        yield from (".PP", f"{_text(what)}:", ".PP", ".nf", f"    {_text(command)}", ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))


def _text(text: str) -> str:
    """Write text so that roff takes it as it is: groff_char(7) on hyphens, and a line's first character."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    write(Path(sys.argv[1]))
