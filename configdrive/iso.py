"""A config drive as an ISO 9660 image with Rock Ridge and Joliet.

Sources: ECMA-119 (ISO 9660), IEEE P1282 (Rock Ridge), Microsoft's Joliet specification; the label
``config-2`` is what OpenStack Nova writes and cloud-init looks for (sources/DataSourceConfigDrive.py).
"""

import io
import re
from collections.abc import Mapping
from typing import Any

from configdrive import tree
from configdrive.errors import unreadable

LABEL = "config-2"

# Level 3: names of up to 30 characters, so that META_DATA.JSON stays whole without extensions too.
_LEVEL = 3
_JOLIET_LEVEL = 3
_ROCK_RIDGE_VERSION = "1.09"


def build_iso(files: Mapping[str, bytes]) -> bytes:
    """Give an ISO 9660 image that carries ``files``; its length is a multiple of 2048 bytes.

    Two builds from the same files differ in the times of recording only. A file equal to an earlier one
    shares its extent. Raises ConfigDriveError for a path that cannot stand on a ConfigDrive.
    """
    # Here and not above: the command line must start fast.
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=_LEVEL, vol_ident=LABEL, joliet=_JOLIET_LEVEL, rock_ridge=_ROCK_RIDGE_VERSION)
    try:
        _fill(iso, files)
        out = io.BytesIO()
        iso.write_fp(out)
    finally:
        iso.close()
    return out.getvalue()


def read_iso(image: bytes) -> dict[str, bytes]:
    """Give the files of an ISO 9660 image by path, as its Rock Ridge and its Joliet tree both show them.

    Raises ConfigDriveError when it cannot be read or the two trees differ.
    """
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    iso = pycdlib.PyCdlib()
    try:
        iso.open_fp(io.BytesIO(image))
        contents: dict[bytes, bytes] = {}
        rock_ridge, joliet = _files_of(iso, "rr_path", contents), _files_of(iso, "joliet_path", contents)
        iso.close()
    except PyCdlibException as error:
        raise unreadable(f"It cannot be parsed as ISO 9660 ({type(error).__name__}).") from None
    if rock_ridge != joliet:
        raise unreadable("Its Rock Ridge tree and its Joliet tree show different files.")
    return rock_ridge


def _fill(iso: Any, files: Mapping[str, bytes]) -> None:
    seen: dict[bytes, str] = {}
    for entry in (entry for held in tree.entries(files).values() for entry in held):
        iso_path = _iso_path(entry)
        if entry.is_directory:
            iso.add_directory(iso_path, rr_name=entry.name, joliet_path=f"/{entry.path}")
            continue
        content = files[entry.path]
        if content and content in seen:
            # user data stands under every version: once on the disk is enough.
            iso.add_hard_link(iso_old_path=seen[content], iso_new_path=iso_path, rr_name=entry.name)
            iso.add_hard_link(iso_old_path=seen[content], joliet_new_path=f"/{entry.path}")
            continue
        seen[content] = iso_path
        stream = io.BytesIO(content)
        iso.add_fp(stream, len(content), iso_path, rr_name=entry.name, joliet_path=f"/{entry.path}")


def _iso_path(entry: tree.Entry) -> str:
    """Give the name for readers without extensions: upper case letters, digits and '_' (ECMA-119, 7.4.1)."""
    *folders, name = re.sub(r"[^A-Z0-9_./]", "_", entry.path.upper()).split("/")
    parents = [folder.replace(".", "_") for folder in folders]
    if entry.is_directory:
        return "/" + "/".join([*parents, name.replace(".", "_")])
    stem, _, suffix = name.rpartition(".") if "." in name else (name, "", "")
    return "/" + "/".join([*parents, f"{stem.replace('.', '_')}.{suffix};1"])


def _files_of(iso: Any, tree_name: str, contents: dict[bytes, bytes]) -> dict[str, bytes]:
    # Equal files are kept once: the user data stands under two versions, in two trees.
    found = {}
    for folder, _, names in iso.walk(**{tree_name: "/"}):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            out = io.BytesIO()
            iso.get_file_from_iso_fp(out, **{tree_name: path})
            content = out.getvalue()
            found[path.lstrip("/")] = contents.setdefault(content, content)
    return found
