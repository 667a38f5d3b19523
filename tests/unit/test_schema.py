import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings

from agent.errors import RequestError
from agent.request import schema
from agent.request.model import json_schema
from agent.request.parse import parse
from tests.agent_process import CONFIGDRIVE
from tests.unit.test_request_common import BASE, document_with
from tests.unit.test_request_model import RIGHT, WRONG
from tests.unit.test_request_parse import FULL, spoiled

DOCS = Path(__file__).parents[2] / "docs"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())

# What JSON Schema has words for here: kinds of values, choices, bounds, lengths.
SAID = ("expected", "one of", "less than", "more than", "longer than", "is empty")


def passes(document: Any) -> bool:
    return bool(VALIDATOR.is_valid(document))


@pytest.mark.parametrize(
    ("name", "text"),
    [(schema.SCHEMA_NAME, schema.schema_text()), (schema.REFERENCE_NAME, schema.reference_text())],
)
def test_the_generated_pages_are_not_stale(name: str, text: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == text, "write them anew: make docs"


def test_the_example_is_a_request() -> None:
    block = schema.reference_text().split("```json\n")[1].split("```")[0]
    assert parse(json.loads(block)).wants_configdrive


def test_the_pages_are_written_as_they_are_checked(tmp_path: Path) -> None:
    schema.write(tmp_path)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        schema.SCHEMA_NAME: schema.schema_text(),
        schema.REFERENCE_NAME: schema.reference_text(),
    }


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.schema_text()))


@pytest.mark.parametrize("document", [BASE, FULL, BASE | {"configdrive": CONFIGDRIVE}])
def test_whole_requests_pass(document: Any) -> None:
    assert parse(document)
    assert passes(document)


@pytest.mark.parametrize("place", RIGHT)
def test_right_values_pass(place: str) -> None:
    for value in RIGHT[place]:
        assert passes(document_with(place, value)), value


@pytest.mark.parametrize("place", WRONG)
def test_wrong_kinds_and_choices_fail(place: str) -> None:
    for value, reason in WRONG[place]:
        if any(word in reason for word in SAID):
            assert not passes(document_with(place, value)), value


@pytest.mark.parametrize("place", ["url", "options.boot_type", "configdrive.meta", "httpHeader.0.name"])
def test_unknown_fields_fail(place: str) -> None:
    assert not passes(document_with(place, "x"))


@pytest.mark.parametrize("name", ["URL", "type"])
def test_required_fields(name: str) -> None:
    assert not passes({key: value for key, value in BASE.items() if key != name})


@settings(deadline=None, max_examples=100)
@given(spoiled())
def test_the_schema_refuses_nothing_that_the_agent_takes(document: Any) -> None:
    try:
        parse(document)
    except RequestError:
        return
    assert passes(document)
