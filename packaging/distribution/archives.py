"""Archives that depend on nothing but what is in them: sorted, with one time, one owner, one mode."""

import io
import lzma
import tarfile
import zipfile

from distribution.trees import Files

TIME = 1767225600
"""Of every file that is handed out: 2026-01-01, in seconds since 1970. Zip files know none before 1980."""
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)


def tar_xz(files: Files) -> bytes:
    """Pack files as small as xz can."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(files[name]), TIME, 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def zip_file(files: Files, *, first_line: bytes) -> bytes:
    """Put files into a zip file without packing them, behind a line that says what runs it."""
    content = io.BytesIO()
    content.write(first_line)
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.create_system, member.external_attr = 3, 0o100644 << 16  # Unix, a regular file
            archive.writestr(member, files[name])
    return content.getvalue()
