"""The documentation says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from pomona import cli
from tests.command_line_reference import REFERENCE
from tests.processes import run_python

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").rglob("*.md")])


def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = commands(command, f"{path} {name}") if isinstance(command, click.Group) else []
        found += inner or [(f"{path} {name}", command)]
    return found


def test_the_command_line_reference_is_current() -> None:
    """Told by a fresh interpreter: click keeps what it said first, whoever asked."""
    told = run_python("from tests.command_line_reference import reference\nprint(reference(), end='')")
    assert REFERENCE.read_text() == told.stdout, "run: python -m tests.command_line_reference"


@pytest.mark.parametrize(("name", "command"), commands(cli, "pomona"))
def test_every_command_has_an_example_of_itself(name: str, command: click.Command) -> None:
    _, _, examples = (command.help or "").partition("Example")
    assert name in examples


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / path) if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_examples_in_json_are_json(page: Path) -> None:
    for example in re.findall(r"```json\n(.*?)```", page.read_text(), flags=re.DOTALL):
        json.loads(example)
