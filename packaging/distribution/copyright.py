"""Debian's copyright file: whose the bundled packages are, and on what terms, in their own words."""

import textwrap
from collections.abc import Iterable
from email.parser import HeaderParser

from distribution.wheels import Wheel

_HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: byoi-agent
Comment:
 Below /usr/lib/byoi-agent are the agent's own packages (agent, configdrive, partitioning) and those that it
 depends on, unchanged from the Python Package Index but for debug information. Their licences stand below,
 and in the *.dist-info directories beside them.

Files: *
Copyright: the authors of byoi-agent
License: byoi-agent
 No licence has been stated for byoi-agent itself.
"""
# Debian has the text once for all packages.
_APACHE = "Version 2.0, January 2004"
_APACHE_TEXT = "The Apache License, version 2.0, stands in /usr/share/common-licenses/Apache-2.0."


def copyright_text(wheels: Iterable[Wheel]) -> str:
    """Give the file for what is in ``wheels``, of which several may be of one project."""
    by_name = {wheel.name: wheel for wheel in wheels}
    return "\n".join([_HEAD, *(_paragraph(by_name[name]) for name in sorted(by_name))])


def _paragraph(wheel: Wheel) -> str:
    about = HeaderParser().parsestr(wheel.metadata)
    authors = (
        about["Author"] or about["Author-email"] or about["Maintainer"] or f"the authors of {about['Name']}"
    )
    files = [text.decode(errors="replace") for name, text in sorted(wheel.files.items()) if _is_licence(name)]
    texts = [_APACHE_TEXT if _APACHE in text else text for text in files]
    tops = sorted({name.partition("/")[0] for name in wheel.files})
    return "\n".join(
        [
            f"Files: {' '.join(f'usr/lib/byoi-agent/{top}*' for top in tops)}",
            f"Copyright: {' '.join(authors.split())}",
            f"License: {wheel.name}",
            f" {about['License-Expression'] or _short(about['License']) or 'see below'}",
            " .",
            textwrap.indent(_lines("\n\n".join(texts)), " "),
            "",
        ]
    )


def _short(licence: str | None) -> str | None:
    return licence.splitlines()[0] if licence else None


def _is_licence(name: str) -> bool:
    directory, _, rest = name.partition("/")
    return directory.endswith(".dist-info") and rest.rpartition("/")[2].upper().startswith(
        ("LICEN", "COPYING", "NOTICE", "AUTHORS")
    )


def _lines(text: str) -> str:
    """Write a text as a field with several lines: an empty one is a full stop."""
    return "\n".join(line.rstrip() or "." for line in text.expandtabs().strip().splitlines())
