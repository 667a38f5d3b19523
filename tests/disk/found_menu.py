"""The GRUB menu of an image in a file, as the agent finds it."""

import os
from pathlib import Path

from agent.boot.hand_over_menu import HandOver, find_menu
from agent.images.image import raw_image
from tests.unit.test_images_common import HeldBytes


def found_in(raw: Path) -> HandOver:
    fd = os.open(raw, os.O_RDONLY)
    try:
        image = raw_image(fd=fd, file_size=raw.stat().st_size, reader=HeldBytes(b""))
        return find_menu(image, because="It has no ESP.", with_kernel=True)
    finally:
        os.close(fd)
