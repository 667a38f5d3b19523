"""Writes what is generated of the documentation: ``python -m agent.request.schema docs``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.request.model import json_schema

SCHEMA_NAME = "request.schema.json"
REFERENCE_NAME = "request.md"

_INTRODUCTION = """\
# The deployment request

One JSON object, for `byoi-agent deploy FILE` (or `-` for standard input). Unknown fields are an error.
This page is generated from the code (`make docs`), and so is the JSON Schema beside it,
[request.schema.json](request.schema.json). `checkSum` and `checkSumType` come together or not at all.
The fields have flags on the command line (`byoi-agent deploy --help`); flags win over the file, and either of
`--disk` and `--disk-group-id` takes the place of both in it. `--disk` and `--ca-file` may be relative.
`configdrive.enable` has none of its own: any flag for the ConfigDrive sets it.

```json
{
  "URL": "https://images.example/debian-12.qcow2",
  "type": "qcow2",
  "checkSum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  "checkSumType": "sha256",
  "description": "Debian 12",
  "diskGroupId": 1,
  "httpHeader": [{"key": "Authorization", "value": "Bearer TOKEN"}],
  "configdrive": {
    "enable": true,
    "hostname": "web1.example",
    "sshKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILfj3CmykqsfNfuI5XjkHlUoKrTJgfdfVizxuGF8CEmV me@laptop",
    "userData": "#cloud-config\\npackages: [nginx]\\n",
    "userMetadatas": [{"key": "role", "value": "web"}]
  },
  "options": {"bootType": "auto", "verify": true}
}
```
"""


def schema_text() -> str:
    """Give the schema as it stands in docs/."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """Give the page that lists all fields."""
    schema = json_schema()
    sections = [("The request", schema)]
    titles = {
        "ConfigDriveRequest": "`configdrive`",
        "HttpHeader": "An entry of `httpHeader`",
        "Options": "`options`",
        "UserMetadata": "An entry of `userMetadatas`",
    }
    sections += [(title, schema["$defs"][name]) for name, title in titles.items()]
    return "\n".join([_INTRODUCTION, *(_section(title, part, schema) for title, part in sections)])


def _section(title: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    required = part.get("required", [])
    rows = [
        f"| `{name}` | {_type(field, schema)} | {'yes' if name in required else 'no'} "
        f"| {_default(field)} | {field.get('description', '')} |"
        for name, field in part["properties"].items()
    ]
    head = ["| field | type | required | default | |", "|---|---|---|---|---|"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_types(field, schema)))


def _types(field: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in field:
        target = schema["$defs"][field["$ref"].rpartition("/")[2]]
        yield from _types(target, schema)
    elif "anyOf" in field:
        for choice in field["anyOf"]:
            yield from _types(choice, schema)
    elif "enum" in field:
        yield ", ".join(f"`{value}`" for value in field["enum"])
    elif field.get("type") == "array":
        yield "list"
    else:
        yield {"null": "null", "boolean": "true or false"}.get(field["type"], field["type"])


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, []) else f"`{json.dumps(default)}`"


def write(folder: Path) -> None:
    """Write both files into ``folder``."""
    (folder / SCHEMA_NAME).write_text(schema_text(), encoding="utf-8")
    (folder / REFERENCE_NAME).write_text(reference_text(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
