"""What is known before the plan can be made, as people read it, and as JSON; see outline.py."""

from typing import Any

from agent.deployment.outline import Outline
from agent.deployment.plan import DeploymentPlan
from agent.deployment.plan_view import (
    image_lines,
    memory_words,
    plan_json,
    size_words,
    sum_words,
    target_json,
    then_words,
)
from agent.fetch.redaction import printable, public_url
from agent.request.model import Request, Rivals

_LATER = (
    "how the disk boots, and where a ConfigDrive goes, is worked out from what has been written: not all"
    " that decides it is at the beginning of the file. What turns out impossible then leaves a disk that does"
    " not boot; --staging memory finds it out before"
)
_RIVALS_LATER = (
    "also what on other disks would be taken for the new system at boot (options.rivals): it is found when"
    " the image has been written, and erased without a further question"
)


def known_lines(request: Request, known: DeploymentPlan | Outline, *, warnings: bool = True) -> list[str]:
    """Describe what was found in the image and what will be done with it, as far as it is known."""
    if isinstance(known, DeploymentPlan):
        return image_lines(request, known, warnings=warnings)
    lines = [
        f"Sum:       {sum_words(request, None)}",
        f"Memory:    {memory_words(known.image, is_whole=False)}",
        f"Write:     {size_words(known.image.virtual_size, known.table)}",
        f"Later:     {_LATER}",
    ]
    if request.options.rivals is Rivals.ERASE:
        lines.append(f"Erase:     {_RIVALS_LATER}")
    lines += [f"Then:      {what}" for what in then_words(request)]
    return [printable(line) for line in lines]


def known_json(request: Request, known: DeploymentPlan | Outline) -> dict[str, Any]:
    """Give the same as JSON; ``complete`` tells whether it is the whole plan."""
    if isinstance(known, DeploymentPlan):
        return plan_json(request, known)
    return {
        **target_json(request, known.target),
        "complete": False,
        "image": {
            "url": public_url(request.url),
            "type": known.image.type,
            "fileSize": known.image.file_size,
            "heldInMemory": known.image.held,
            "virtualSize": known.image.virtual_size,
            "partitionTable": known.table.kind,
            "sectorSize": known.made_for,
            "partitions": len(known.table.partitions),
        },
        "rivals": request.options.rivals,
        "verify": request.options.verify,
        "reboot": bool(request.options.reboot),
        "warnings": [],
    }
