import re
import subprocess
from pathlib import Path

import pytest

from agent.cli import man_page
from tests.unit.test_cli_app import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_generated_page_is_not_stale() -> None:
    assert (DOCS / man_page.NAME).read_text(encoding="utf-8") == man_page.man_page(), (
        "write it anew: make docs"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_it(name: str) -> None:
    assert f'.SS "byoi\\-agent {name}"' in man_page.man_page()


def test_every_option_of_the_help_is_in_it_and_hidden_ones_are_not() -> None:
    page = man_page.man_page()
    assert "\\fB\\-\\-user\\-data\\fR \\fIDATA\\fR" in page
    plan = page.split('"byoi\\-agent plan"')[1].split(".SS")[0]
    assert "\\-\\-json" in plan
    assert "\\-\\-yes" not in plan


def test_no_text_is_taken_for_a_command_of_roff() -> None:
    known = re.compile(r"\.(TH|SH|SS|PP|TP|br|nf|fi)( |$)")
    lines = man_page.man_page().splitlines()
    assert [line for line in lines if line.startswith((".", "'")) and not known.match(line)] == []


def test_it_can_be_set() -> None:
    command = ("groff", "-man", "-Tutf8", "-ww", str(DOCS / man_page.NAME))
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert "EXIT STATUS" in re.sub(".\b", "", result.stdout)
