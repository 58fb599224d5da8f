# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.generate.requirements`: writes docs/conformance.md: every requirement of our blocks, and its state.

A requirement is met when its id stands beside a branch of the code and in a test or a conformance case. What the code
can't say is in `notes.toml`. Nothing is left out: a requirement with neither is listed as open.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.generate.extract_requirements import DATA

__all__ = ["BLOCKS", "State", "main", "page", "states"]

BLOCKS = "ABCEFGJLMNP"
_ROOT = Path(__file__).parents[2]
_NOTES = Path(__file__).with_name("notes.toml")
_CODE = ("services", "hal", "firmware", "drivers")
_TESTS = ("tests", "tools/conformance")
_CITED = re.compile(r"\b([A-P]\d\d)\.FR\.(\d+)((?:\s*(?:,|and|to)\s*(?:FR\.)?\d\d)*)")
_MORE = re.compile(r"(,|and|to)\s*(?:FR\.)?(\d\d)")


@dataclass(frozen=True, slots=True)
class State:
    """How one requirement stands. `places` are `file:name` of the code, `proofs` those of tests and cases."""

    word: str
    why: str = ""
    places: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()


def states() -> dict[str, State]:
    """The state of every requirement of the implemented blocks, by its id."""
    requirements: dict[str, dict[str, dict[str, str]]] = json.loads(DATA.read_text())
    evidence = _Evidence(_citations(_CODE), _citations(_TESTS), tomllib.loads(_NOTES.read_text()))
    return {
        name: State("the CSMS's") if facts["duty"] == "CSMS" else evidence.state(name)
        for use_case, rows in requirements.items()
        if use_case[0] in BLOCKS
        for name, facts in rows.items()
    }


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Where each id is named in code and tests, and the notes."""

    code: dict[str, list[str]]
    proofs: dict[str, list[str]]
    notes: dict[str, list[dict[str, Any]]]

    def state(self, name: str) -> State:
        places, proven = tuple(sorted(set(self.code[name]))), tuple(sorted(set(self.proofs[name])))
        noted = None if places and proven else self._noted(name)
        if noted is not None:
            return noted
        if proven:
            return State("met", "", places, proven)
        return State("not tested", "", places) if places else State("open")

    def _noted(self, name: str) -> State | None:
        for kind, notes in self.notes.items():
            for note in notes:
                if name in note["ids"] or f"{name[:3]}.*" in note["ids"]:
                    return self._note(kind, note)
        return None

    def _note(self, kind: str, note: dict[str, Any]) -> State:
        if kind == "as":
            return replace(self.state(note["of"]), why=f"as {note['of']}")
        return State("does not apply", note["why"]) if kind == "absent" else State("by choice", note["what"])


def _citations(folders: tuple[str, ...]) -> dict[str, list[str]]:
    """Requirement id -> where it is named, as `path:function`."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            names = _names(text) if ".FR." in text else []
            for number, line in enumerate(text.splitlines(), start=1):
                for name in _ids(line):
                    found[name].append(f"{path.relative_to(_ROOT)}:{_enclosing(names, number)}")
    return found


def _ids(line: str) -> Iterator[str]:
    for use_case, first, rest in _CITED.findall(line):
        yield f"{use_case}.FR.{first}"
        last = int(first)
        for word, number in _MORE.findall(rest):
            start = last + 1 if word == "to" else int(number)
            for each in range(start, int(number) + 1):
                yield f"{use_case}.FR.{each:02d}"
            last = int(number)


def _names(text: str) -> list[tuple[int, int, str]]:
    """(first line, last line, name) of every function and class, outer ones first."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.lineno, node.end_lineno or node.lineno, node.name))
    return sorted(found)


def _enclosing(names: list[tuple[int, int, str]], line: int) -> str:
    inner = [name for first, last, name in names if first <= line <= last]
    return inner[-1] if inner else "module"


def page() -> str:
    """The whole page, as Markdown."""
    found = states()
    count = Counter(state.word for state in found.values())
    lines = [
        "# Requirements",
        "",
        "Every functional requirement of OCPP 2.0.1 part 2 (with the errata of 2025-09) in the blocks",
        f"{', '.join(BLOCKS[:-1])} and {BLOCKS[-1]}, and how the station stands to it. Made by",
        "`python -m tools.generate.requirements`; do not edit.",
        "",
        "| state | requirements |",
        "|---|---|",
        *(f"| {word} | {number} |" for word, number in count.most_common()),
    ]
    use_case = ""
    for name, state in found.items():
        if name[:3] != use_case:
            use_case = name[:3]
            lines += ["", f"## {use_case}", "", "| id | state | by | shown by |", "|---|---|---|---|"]
        word = f"{state.word}: {state.why}" if state.why else state.word
        lines.append(f"| {name} | {word} | {_short(state.places)} | {_short(state.proofs)} |")
    return "\n".join(lines) + "\n"


def _short(places: tuple[str, ...], most: int = 3) -> str:
    shown = [f"`{place.rpartition('/')[2].replace('.py:', ' ')}`" for place in places[:most]]
    return ", ".join(shown) + (f" and {len(places) - most} more" if len(places) > most else "")


def main() -> int:
    (_ROOT / "docs" / "conformance.md").write_text(page(), encoding="utf-8")
    left = [name for name, state in states().items() if state.word in ("open", "not tested")]
    print(f"{len(left)} without proof: {' '.join(left)}" if left else "every requirement has its state")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
