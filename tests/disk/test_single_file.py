"""The single file, as built, with the system's own Python: that it runs, deploys, and lets nobody in."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import requests
from distribution.single_file import build_single_file
from testbed.cache import Cache

from agent.version import VERSION
from tests.agent_process import Agent, digest, request_for
from tests.disk.conftest import serve
from tests.disk.in_process import assert_deployed
from tests.misbehaving_server import MisbehavingServer

CHECKOUT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
NOBODY = 65534


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_single_file(CHECKOUT, tmp_path_factory.mktemp("dist"), Cache())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where it is unpacked to; not there yet."""
    return tmp_path / "program"


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {"PATH": os.environ["PATH"], "BYOI_AGENT_UNPACK_DIR": str(home)}
    return {**kept, "BYOI_AGENT_RUN_DIR": str(home.parent / "run"), **(more or {})}


def start(
    file: Path, home: Path, *words: str, python: Sequence[str] = (PYTHON,), **more: str
) -> subprocess.CompletedProcess[str]:
    command = [*python, str(file), *words]
    return subprocess.run(
        command, env=environment(home, more), capture_output=True, text=True, timeout=120, check=False
    )


def version(file: Path, home: Path, **more: str) -> str:
    done = start(file, home, "--version", **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def unpacked(home: Path) -> Path:
    """The one directory that is there."""
    (only,) = home.iterdir()
    return only


def test_it_runs_by_its_own_name(file: Path, home: Path) -> None:
    done = subprocess.run([file, "--version"], env=environment(home), capture_output=True, check=True)
    assert done.stdout.decode() == f"byoi-agent {VERSION}\n"


def test_later_starts_take_what_the_first_has_unpacked(file: Path, home: Path) -> None:
    version(file, home)
    before = unpacked(home).stat()
    assert [*unpacked(home).rglob("typer/__pycache__/*.pyc")]
    version(file, home)
    assert unpacked(home).stat().st_ino == before.st_ino


def test_the_commands(file: Path, home: Path) -> None:
    shown = json.loads(start(file, home, "disks", "--json").stdout)
    assert shown["defaultGroupId"] == 1
    found = json.loads(start(file, home, "doctor", "--json").stdout)
    assert next(check for check in found["checks"] if check["name"] == "Python")["result"] == "ok"


def python_of(minor: int) -> str:
    """A Python of this version; the test is skipped where there is none."""
    python = shutil.which(f"python3.{minor}")
    if python is None or _minor(python) != f"3.{minor}":
        pytest.skip(f"there is no Python 3.{minor} on this machine")
    return python


@pytest.mark.parametrize("minor", [None, 12, 13, 14])
def test_a_deployment(
    file: Path,
    home: Path,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    raw_gpt: Path,
    disk: Path,
    minor: int | None,
) -> None:
    agent = Agent(
        run_directory=home.parent / "run",
        command=(PYTHON if minor is None else python_of(minor), str(file)),
        environment={"BYOI_AGENT_UNPACK_DIR": str(home)},
    )
    drive = {"enable": True, "hostname": "web1"}
    ended = agent.deploy(request_for(serve(server, qcow2_gpt), disk, configdrive=drive))
    assert (ended.code, ended.message) == (0, "done"), ended.people
    assert_deployed(disk, raw_gpt)


def test_nothing_from_elsewhere_gets_in_between(file: Path, home: Path, tmp_path: Path) -> None:
    """Neither from PYTHONPATH, nor from the working directory, nor from a user's packages."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("agent", "json", "pathlib", "pydantic", "single_file", "tarfile", "typer", "zipfile"):
        (elsewhere / f"{name}.py").write_text("raise SystemExit('got in between')\n")
    site = tmp_path / "user/lib" / f"python{_minor(PYTHON)}" / "site-packages"
    shutil.copytree(elsewhere, site)
    (site / "own.pth").write_text(f"import sys; sys.path.insert(0, {str(elsewhere)!r})\n")
    more = {"PYTHONPATH": str(elsewhere), "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}
    done = subprocess.run(
        [PYTHON, file, "--version"],
        env=environment(home, more),
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"byoi-agent {VERSION}\n", "")
    isolated = start(file, home, "--version", PYTHONUSERBASE=str(tmp_path / "user"))
    assert isolated.stdout == f"byoi-agent {VERSION}\n"


def _minor(python: str) -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", program], capture_output=True, check=False).stdout.decode().strip()


@pytest.mark.parametrize("minor", [6, 8, 10, 11, 12, 13, 14])
def test_other_versions_of_python(file: Path, home: Path, minor: int) -> None:
    done = start(file, home, "doctor", "--json", python=(python_of(minor),))
    if minor >= 11:
        assert json.loads(done.stdout)["checks"][0]["found"].startswith(f"3.{minor}.")
        return
    last = json.loads(done.stdout)
    assert (done.returncode, last["event"], last["exitCode"]) == (3, "error", 3)
    assert last["message"] == "byoi-agent needs Python 3.11 or newer."
    assert f"This is Python 3.{minor} " in done.stderr


def test_the_same_sources_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    """Wherever they lie, in whatever order the file system lists them, and whenever they were written."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("partitioning", "agent", "configdrive"):
        shutil.copytree(CHECKOUT / name, other / name, copy_function=shutil.copyfile)
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copyfile(CHECKOUT / name, other / name)
    again = build_single_file(other, tmp_path, Cache())
    assert digest(again) == digest(file)
    (other / "agent/version.py").write_text('VERSION = "9"\n')
    assert digest(build_single_file(other, tmp_path, Cache())) != digest(file)


@pytest.mark.parametrize("damage", ["a file is gone", "a file is cut short", "the list is gone"])
def test_what_is_not_whole_is_unpacked_anew(file: Path, home: Path, damage: str) -> None:
    version(file, home)
    victim = unpacked(home) / {"the list is gone": ".contents"}.get(damage, "agent/cli/app.py")
    if damage == "a file is cut short":
        os.truncate(victim, 0)
    else:
        victim.unlink()
    assert version(file, home) == f"byoi-agent {VERSION}\n"
    assert victim.stat().st_size > 0
    assert len([*home.iterdir()]) == 1


def test_it_serves_the_page(file: Path, home: Path) -> None:
    command = [PYTHON, str(file), "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(word for word in process.stdout.readline().split() if word.startswith("http"))
            base = url.partition("/1.0")[0].rstrip("/")
            for path in ("/", "/page/watch.js", "/page/style.css", "/page/icon.svg"):
                assert requests.get(f"{base}{path}", timeout=30).status_code == 200, path
        finally:
            process.terminate()


def signalled_while_it_unpacks(file: Path, home: Path, number: int) -> tuple[int, str]:
    """The exit code, and what was said."""
    command = [PYTHON, str(file), "--version"]

    def listen_to_signals() -> None:  # in the background of a shell SIGINT is ignored, and that is handed on
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command,
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_signals,
    ) as process:
        while process.poll() is None and not [*home.glob(".unpacking-*/agent")]:
            time.sleep(0.001)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    return process.returncode, said


def test_interrupted_while_it_unpacks(file: Path, home: Path) -> None:
    assert signalled_while_it_unpacks(file, home, signal.SIGINT) == (130, "")
    assert [*home.iterdir()] == []


def test_killed_while_it_unpacks(file: Path, home: Path) -> None:
    signalled_while_it_unpacks(file, home, signal.SIGKILL)
    assert [path.name for path in home.iterdir() if path.name.startswith(".unpacking-")]
    assert version(file, home) == f"byoi-agent {VERSION}\n"
    assert not unpacked(home).name.startswith(".")


def test_several_started_at_once(file: Path, home: Path) -> None:
    command = [PYTHON, str(file), "--version"]
    running = [
        subprocess.Popen(
            command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert said == [(f"byoi-agent {VERSION}\n", "")] * 5
    assert not unpacked(home).name.startswith(".")


def test_several_started_at_once_on_a_damaged_one(file: Path, home: Path) -> None:
    version(file, home)
    (unpacked(home) / "agent/cli/app.py").unlink()
    test_several_started_at_once(file, home)


def test_old_versions_go_when_nobody_uses_them(file: Path, home: Path) -> None:
    home.mkdir(mode=0o700)
    used, unused, others = (home / name for name in (f"{'a' * 16}-3.11", f"{'b' * 16}-3.11", "notes"))
    for directory in (used, unused, others):
        directory.mkdir()
    handle = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        version(file, home)
    finally:
        os.close(handle)
    assert (used.is_dir(), unused.is_dir(), others.is_dir()) == (True, False, True)


def test_a_running_program_counts_as_a_user(file: Path, home: Path) -> None:
    command = [PYTHON, str(file), "deploy", "-"]
    process = subprocess.Popen(
        command, env=environment(home), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        while not [*home.glob("*/agent/cli/__pycache__")]:
            time.sleep(0.01)
        handle = os.open(unpacked(home), os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
    finally:
        process.kill()
        process.communicate()


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What was said, of a start that was refused."""
    last = json.loads(done.stdout)
    assert (done.returncode, last["status"], last["exitCode"]) == (3, "error", 3)
    assert last["message"] == "The single file can not be unpacked."
    assert "BYOI_AGENT_UNPACK_DIR=" in last["hint"]
    return str(last["detail"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_that_another_user_has_prepared(file: Path, home: Path) -> None:
    version(file, home)
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    assert "it belongs to somebody else" in refused(start(file, home, "disks", "--json"))


def test_a_directory_that_others_can_write_to(file: Path, home: Path) -> None:
    version(file, home)
    home.chmod(0o770)
    assert "others may use it" in refused(start(file, home, "disks", "--json"))


def test_a_link(file: Path, home: Path) -> None:
    version(file, home)
    home.rename(home.with_name("elsewhere"))
    home.symlink_to("elsewhere")
    assert "it is no directory" in refused(start(file, home, "disks", "--json"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(("options", "said"), [("noexec", "mounted noexec"), ("size=1M", "No space left")])
def test_a_file_system_that_is_of_no_use(file: Path, home: Path, options: str, said: str) -> None:
    home.mkdir()
    mount = 'mount -t tmpfs -o mode=755,"$1" tmpfs "$0" && shift && exec "$@"'
    python = ("unshare", "--mount", "sh", "-c", mount, str(home), options, PYTHON)
    done = start(file, home / "program", "disks", "--json", python=python)
    assert said in refused(done)
