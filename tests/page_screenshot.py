"""Makes the picture of the page in docs/: ``python -m tests.page_screenshot docs/page.png``.

The deployment in it is a real one, of the test's image, to a file, over a slow link.
"""

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect
from testbed.file_server import FileServer

from tests.agent_process import CONFIGDRIVE, request_for, with_sum
from tests.page_browser import chromium, page_at
from tests.serve_process import serving
from tests.small_images import MIB, gpt_image, qcow2, random_file

_WINDOW = {"width": 820, "height": 780}


def main(target: Path) -> None:
    """Deploy, look, and keep what was seen."""
    with tempfile.TemporaryDirectory(prefix="byoi-") as folder:
        place = Path(folder)
        # So large that it is written while it comes: of a small one all has come by then.
        image = qcow2(gpt_image(place / "debian-12.raw", size=400 * MIB), "-c")
        disk = random_file(place / "disk.img", 500 * MIB)
        rate = image.stat().st_size // 15
        with FileServer(place, bytes_per_second=rate) as files, serving(place / "run") as server:
            asked = request_for(
                files.url(image.name, host="127.0.0.1"),
                disk,
                description="Debian 12",
                configdrive=CONFIGDRIVE,
                options={"reboot": False, "staging": "stream"},
                **with_sum(image),
            )
            assert server.post(asked).ok
            _take(server.url, target)


def _take(url: str, target: Path) -> None:
    with chromium() as browser, page_at(browser, url, viewport=_WINDOW) as page:
        expect(page.locator("#state")).to_have_text("Writing the image", timeout=30_000)
        expect(page.locator("#pace")).to_contain_text(re.compile(r"\([67]\d %\).* left"), timeout=30_000)
        page.screenshot(path=target, full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
