"""Writes tables into a document, between a pair of marks each."""

from pathlib import Path


def put(document: Path, name: str, text: str) -> None:
    """Replace what is between the marks of ``name``; ValueError when the document does not have them."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    content = document.read_text(encoding="utf-8")
    before, found_begin, rest = content.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"{document} has no place for {name}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
