# SPDX-License-Identifier: Apache-2.0
"""Every message that docs/operations.md quotes exists in the code, so that a technician finds what the station says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from drivers.screen import languages

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()
QUOTED = [
    message
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for message in re.findall("`([^`]+)`", line.split(" | ")[0])
]


@cache
def modules() -> list[tuple[str, ...]]:
    """The texts of each module, without its comments; those of the displays; of the image's scripts, all."""
    folders = ("services", "hal", "drivers", "firmware", "tools")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    scripts = [path for path in (ROOT / "packaging" / "image").rglob("*") if path.is_file()]
    return [
        *map(_texts, paths),
        tuple(languages.words("en").values()),
        *((path.read_text(),) for path in scripts),
    ]


def _texts(module: Path) -> tuple[str, ...]:
    return tuple(
        node.value
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_the_page_begins_with_the_most_frequent_questions() -> None:
    assert re.findall("^## (.*)", PAGE, re.MULTILINE)[:2] == ["It does not connect", "The bill is wrong"]
    assert len(QUOTED) > 60


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_exists(message: str) -> None:
    parts = [part.strip() for part in message.split("…") if part.strip(" :;,'")]
    assert parts
    assert any(all(any(part in text for text in texts) for part in parts) for texts in modules()), parts


def test_links_lead_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall("^## (.*)", PAGE, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, heading = target.partition("#")
        assert (ROOT / "docs" / file).exists() if file else heading in headings
