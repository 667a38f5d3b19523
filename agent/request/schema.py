"""Writes the request's JSON Schema: ``python -m agent.request.schema FILE``."""

import json
import sys
from pathlib import Path

from agent.request.model import json_schema


def schema_text() -> str:
    """Give the schema as it stands in docs/."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
