"""Builds what the virtual servers need. Two builds side by side: each of them leaves the second core idle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .image_recipe import CLOUD_KERNEL, GENERIC, ImageRecipe
from .rescue import RescueSystem, rescue_system
from .sample_image import SampleImage, sample_image

CHECKOUT = Path(__file__).resolve().parents[2]


def rescue_and_image(
    recipe: ImageRecipe = GENERIC, *, kernel_package: str = CLOUD_KERNEL
) -> tuple[RescueSystem, SampleImage]:
    """Build both where they are not in the cache."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        rescue = pool.submit(rescue_system, CHECKOUT, kernel_package=kernel_package)
        image = pool.submit(sample_image, recipe)
        return rescue.result(), image.result()
