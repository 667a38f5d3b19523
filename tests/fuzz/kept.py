"""The inputs that are kept in the repository, in corpus/READER: packed, since most of them is zeroes."""

import gzip
import hashlib
from pathlib import Path

_CORPUS = Path(__file__).parent / "corpus"


def kept(reader: str) -> dict[str, bytes]:
    """Give the inputs for a reader by their names."""
    paths = sorted((_CORPUS / reader).glob("*.gz"))
    return {path.stem: gzip.decompress(path.read_bytes()) for path in paths}


def keep(reader: str, data: bytes) -> None:
    """Add an input."""
    folder = _CORPUS / reader
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(data).hexdigest()[:12]
    (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
