import errno
import os
import stat
from pathlib import Path

import pytest
from single_file import place
from single_file.contents import LIST, Unusable, is_whole
from single_file.place import Refused, places, private, unpacked
from single_file.start import require_glibc, require_python

NAME = "0123456789abcdef-3.11"


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = private(tmp_path / "cache" / "program")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert private(made) == made


def test_the_umask_stays(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        private(tmp_path / "program")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o755, 0o777, 0o1777])
def test_a_directory_that_others_may_use(tmp_path: Path, mode: int) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program").chmod(mode)
    with pytest.raises(Unusable, match="others may use it"):
        private(tmp_path / "program")


def test_a_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private(tmp_path / "program")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(Unusable, match="it belongs to somebody else"):
        private(tmp_path / "program")


def test_a_link_that_somebody_has_planted(tmp_path: Path) -> None:
    private(tmp_path / "elsewhere")
    (tmp_path / "program").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unusable, match="it is no directory"):
        private(tmp_path / "program")


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o775, False), (0o1777, True), (0o755, True)])
def test_whether_others_could_put_another_in_its_place(tmp_path: Path, mode: int, safe: bool) -> None:
    parent = tmp_path / "shared"
    parent.mkdir()
    parent.chmod(mode)
    # However far up.
    if safe:
        assert private(parent / "mine" / "program").is_dir()
    else:
        with pytest.raises(Unusable, match=f"others can write to {parent}"):
            private(parent / "mine" / "program")


def test_a_link_on_the_way_counts_for_where_it_leads(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared)
    with pytest.raises(Unusable, match="others can write to"):
        private(tmp_path / "link" / "program")


def test_a_file_system_that_no_program_is_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mounted:
        f_flag = os.ST_NOEXEC

    monkeypatch.setattr("os.statvfs", lambda path: Mounted)
    with pytest.raises(Unusable, match="mounted noexec"):
        private(tmp_path / "program")


def test_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(place.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    # Not a home directory: sudo may leave that of a user in the environment.
    shared = ["/var/tmp/byoi-agent-0", "/tmp/byoi-agent-0", "/dev/shm/byoi-agent-0"]
    assert [str(path) for path in places()] == ["/var/cache/byoi-agent", *shared]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert str(places()[0]) == "/home/alice/.cache/byoi-agent-program"
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/alice/cache")
    assert str(places()[0]) == "/home/alice/cache/byoi-agent-program"
    monkeypatch.setenv(place.VARIABLE, "/srv/program")
    assert places() == [Path("/srv/program")]


def test_the_next_place_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir(mode=0o755)
    tried = [tmp_path / "file" / "program", tmp_path / "open", tmp_path / "good"]
    monkeypatch.setattr(place, "places", lambda: tried)
    assert unpacked(NAME, list).parent == tmp_path / "good"
    monkeypatch.setattr(place, "places", lambda: tried[:2])
    with pytest.raises(Refused) as caught:
        unpacked(NAME, list)
    assert f"{tried[0]}: {os.strerror(errno.ENOTDIR)}." in caught.value.detail
    assert f"{tried[1]}: others may use it" in caught.value.detail


@pytest.mark.parametrize("listed", ["3 file\n", "3 file\n0 other\n", "4 file\n", "x file\n", "3\n", ""])
def test_whether_it_is_whole(tmp_path: Path, listed: str) -> None:
    (tmp_path / "file").write_text("abc")
    (tmp_path / LIST).write_text(listed)
    assert is_whole(tmp_path) == (listed == "3 file\n")


def test_without_a_list_it_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path)


OFFERED = ["3.11", "3.12"]


@pytest.mark.parametrize(
    ("suffix", "python", "said"),
    [
        (".cpython-312-x86_64-linux-gnu.so", "3.12", None),
        (".cpython-312-x86_64-linux-musl.so", "3.12", "musl"),
        (".cpython-312-aarch64-linux-gnu.so", "3.12", "aarch64"),
        (".cpython-312t-x86_64-linux-gnu.so", "3.12", "312t"),
        (".pypy311-pp73-x86_64-linux-gnu.so", "3.11", "pypy311"),
        (".cpython-315-x86_64-linux-gnu.so", "3.15", "This is Python 3.15"),
    ],
)
def test_other_pythons(
    suffix: str, python: str, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if said is None:
        require_python(OFFERED, suffix=suffix, python=python)
        return
    with pytest.raises(SystemExit) as caught:
        require_python(OFFERED, suffix=suffix, python=python)
    assert caught.value.code == 3
    told = capsys.readouterr().err
    assert "Python 3.11 to 3.12 (CPython) on x86_64 with glibc" in told
    assert said in told


@pytest.mark.parametrize("found", ["glibc 2.16", "", None])
def test_other_c_libraries(
    found: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.confstr", lambda name: found)
    with pytest.raises(SystemExit) as caught:
        require_glibc("2.17")
    assert caught.value.code == 3
    assert "need glibc 2.17 or newer" in capsys.readouterr().err


def test_musl_does_not_know_the_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr("os.confstr", unknown)
    with pytest.raises(SystemExit):
        require_glibc("2.17")
    assert "here is another C library" in capsys.readouterr().err


@pytest.mark.parametrize("found", ["glibc 2.17", "glibc 2.36", "glibc 3.0"])
def test_newer_c_libraries(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.confstr", lambda name: found)
    require_glibc("2.17")
