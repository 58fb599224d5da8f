# SPDX-License-Identifier: Apache-2.0
"""Every test and case that docs/security.md names exists."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

PAGE = Path("docs/security.md")
CASES = Path("tools/conformance/run/cases.json")
_NAME = re.compile(r"`((?:\w+/)*test_\w+)(\.py)?`|\b(TC_[A-Z]_\d+_CS)\b")
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def existing() -> dict[str, set[str]]:
    """The tests by the name of their file, with any part of its path (`test_link`, `csms/test_link`)."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in Path("tests").rglob("test_*.py"):
        tests = set(_TEST.findall(path.read_text(encoding="utf-8")))
        parts = path.with_suffix("").parts
        for start in range(len(parts)):
            found["/".join(parts[start:])] |= tests
    return found


def missing_from(tests: dict[str, set[str]], cases: set[str], text: str) -> list[str]:
    """The names in the text that don't exist. A test belongs to the file that is named before it in the same line."""
    missing = []
    for line in text.splitlines():
        file = ""
        for name, suffix, case in _NAME.findall(line):
            if suffix:
                file = name
            known = name in tests if suffix else case in cases if case else name in tests.get(file, ())
            if not known:
                missing.append(case or f"{file}: {name}")
    return missing


def test_every_named_test_exists() -> None:
    cases = {case["id"] for case in json.loads(CASES.read_text()) if case["applies"]}
    assert missing_from(existing(), cases, PAGE.read_text(encoding="utf-8")) == []


def test_every_attack_class_has_a_row() -> None:
    rows = re.findall(r"^\| (\d+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(map(int, rows))) == list(range(1, 21))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`test_a.py`: `test_one`, `test_two`; TC_A_01_CS", []),
        ("`test_a.py`: `test_three`", ["test_a: test_three"]),
        ("`test_b.py`: `test_one`", ["test_b: test_b", "test_b: test_one"]),
        ("`test_one`", [": test_one"]),
        ("`test_a.py`\n`test_one`", [": test_one"]),
        ("TC_A_02_CS", ["TC_A_02_CS"]),
    ],
)
def test_missing_names_are_found(text: str, missing: list[str]) -> None:
    assert missing_from({"test_a": {"test_one", "test_two"}}, {"TC_A_01_CS"}, text) == missing
