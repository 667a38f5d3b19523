"""The boot matrix as a table in docs/boot.md, out of results that are kept between runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from .boot_matrix import ALL_HARDWARE, Cell, whole_matrix
from .boot_matrix_run import Outcome
from .errors import TestbedError
from .image_recipe import VARIANTS, ImageRecipe
from .server_config import Firmware

BEGIN = "<!-- boot matrix: make boot-matrix writes it -->"
END = "<!-- end of the boot matrix -->"
_FIRMWARE = {Firmware.LEGACY: "SeaBIOS", Firmware.UEFI: "OVMF", Firmware.SECURE: "OVMF, Secure Boot"}

Results = Mapping[str, str]
"""By host name of the cell: empty where it booted, else the message and the detail of the refusal."""


def read_results(path: Path) -> dict[str, str]:
    """What earlier runs found; nothing where there was none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def note_result(path: Path, outcome: Outcome) -> None:
    """Keep one outcome for the table."""
    refused = "" if outcome.refused is None else f"{outcome.refused} {outcome.detail}"
    results = read_results(path) | {outcome.cell.hostname: refused}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def missing_rows(results: Results) -> list[list[Cell]]:
    """The rows that have cells without a result, each with those cells only."""
    rows: dict[tuple[ImageRecipe, Firmware], list[Cell]] = {}
    for cell in whole_matrix():
        if cell.hostname not in results:
            rows.setdefault((cell.recipe, cell.firmware), []).append(cell)
    return list(rows.values())


def write_table(document: Path, results: Results) -> None:
    """Put the table between its two marks in the document."""
    text = document.read_text(encoding="utf-8")
    head, found, rest = text.partition(BEGIN)
    _, found_end, tail = rest.partition(END)
    if not (found and found_end):
        raise TestbedError(f"{document} has no place for the boot matrix: {BEGIN} … {END}")
    table = "\n".join(_table(results))
    document.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", encoding="utf-8")


def _table(results: Results) -> Iterable[str]:
    reasons: list[str] = []
    yield "| image | firmware | " + " | ".join(hardware.name for hardware in ALL_HARDWARE) + " |"
    yield "|---" * (2 + len(ALL_HARDWARE)) + "|"
    for recipe in VARIANTS:
        for firmware in Firmware:
            cells = [Cell(recipe=recipe, firmware=firmware, hardware=each) for each in ALL_HARDWARE]
            words = [_words(results.get(cell.hostname), reasons) for cell in cells]
            yield f"| {recipe.name} | {_FIRMWARE[firmware]} | " + " | ".join(words) + " |"
    yield ""
    yield from (f"{number}. `{reason}`" for number, reason in enumerate(reasons, start=1))


def _words(result: str | None, reasons: list[str]) -> str:
    if result is None:
        return "not tried"
    if not result:
        return "boots"
    if result not in reasons:
        reasons.append(result)
    return f"refused ({reasons.index(result) + 1})"
