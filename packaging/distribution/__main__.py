"""``python -m distribution``: builds all that is handed out, and says what it is."""

import argparse
import hashlib
from pathlib import Path

from testbed.cache import Cache

from distribution.package import build_package
from distribution.single_file import build_single_file
from distribution.targets import PYTHONS
from distribution.wheels import downloaded, write_sums

_CHECKOUT = Path(__file__).parents[2]
_SUMS = "SHA256SUMS"


def main() -> None:
    """Fill a directory with the single file, the Debian package and their sums."""
    parser = argparse.ArgumentParser(prog="python -m distribution", description=__doc__)
    parser.add_argument("--target", type=Path, default=_CHECKOUT / "dist", help="default: dist")
    parser.add_argument("--sums", action="store_true", help="only note the sums of the wheels that there are")
    arguments = parser.parse_args()
    if arguments.sums:
        write_sums(wheel for python in PYTHONS for wheel in downloaded(_CHECKOUT, python, Cache()))
        return
    target: Path = arguments.target
    target.mkdir(parents=True, exist_ok=True)
    cache = Cache()
    made = [build_single_file(_CHECKOUT, target, cache), build_package(_CHECKOUT, target, cache)]
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in made}
    (target / _SUMS).write_text("".join(f"{digest}  {path.name}\n" for path, digest in sums.items()))
    for path, digest in sums.items():
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n  sha256 {digest}")
    print(target / _SUMS)


if __name__ == "__main__":
    main()
