# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.generate.requirements`: writes docs/conformance.md, the state of every requirement of our blocks.

A requirement is met when its id stands beside a branch of the code and in a test or a conformance case. What the code
can't say is in `notes.toml`. Nothing is left out: a requirement without code or without a test is listed as such, and
then, or when a note has become needless, the exit status is 1.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.generate.extract_requirements import DATA

__all__ = [
    "BLOCKS",
    "Evidence",
    "State",
    "Word",
    "block_table",
    "citations",
    "main",
    "needless_notes",
    "page",
    "states",
    "unproven",
]

BLOCKS = {
    "A": "Security",
    "B": "Provisioning",
    "C": "Authorization",
    "E": "Transactions",
    "F": "Remote control",
    "G": "Availability",
    "J": "Meter values",
    "L": "Firmware management",
    "M": "Certificate management",
    "N": "Diagnostics",
    "P": "Data transfer",
}
_ROOT = Path(__file__).parents[2]
_NOTES = Path(__file__).with_name("notes.toml")
_CODE = ("services", "hal", "firmware", "drivers")
_TESTS = ("tests", "tools/conformance")
_NO_TESTS = ("tests/unit/tools/",)
"""Tests of the tools: the ids in them are data, and show nothing of the station."""
_CITED = re.compile(r"\b([A-P]\d\d)\.FR\.(\d+)((?:\s*(?:,|and|to)\s*(?:FR\.)?\d\d)*)")
_MORE = re.compile(r"(,|and|to)\s*(?:FR\.)?(\d\d)")


class Word:
    """The states of a requirement."""

    MET = "met"
    ABSENCE = "met by absence"
    CHOICE = "by choice"
    NOT_APPLICABLE = "does not apply"
    CSMS = "the CSMS's"
    UNTESTED = "not tested"
    NO_CODE = "no place in the code"
    OPEN = "open"


_LEGEND = {
    Word.MET: "the station does it; `by` names the code, `shown by` the tests and conformance cases that check it",
    Word.ABSENCE: "the station never does what is forbidden, so there is no branch to name; a test shows it",
    Word.CHOICE: "recommended or optional; the note says what the station does",
    Word.NOT_APPLICABLE: "the condition can't occur on this product; the note says why",
    Word.CSMS: "a duty of the CSMS",
}
_UNPROVEN = (Word.UNTESTED, Word.NO_CODE, Word.OPEN)


@dataclass(frozen=True, slots=True)
class State:
    """The state of one requirement. `places` are `path:name` in the code, `proofs` those of tests and cases."""

    word: str
    why: str = ""
    places: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()


def states() -> dict[str, State]:
    """The state of every requirement of the implemented blocks, by its id."""
    evidence = _evidence()
    return {name: State(Word.CSMS) if of_csms else evidence.state(name) for name, of_csms in _requirements().items()}


def unproven(found: Mapping[str, State]) -> list[str]:
    """The ids that lack code, a test, or both."""
    return [name for name, state in found.items() if state.word in _UNPROVEN]


def needless_notes() -> list[str]:
    """The noted ids of requirements that do not exist, are the CSMS's, or have their place and their test."""
    evidence, requirements = _evidence(), _requirements()
    noted = [name for notes in evidence.notes.values() for note in notes for name in note["ids"]]
    one_by_one = [name for name in noted if not name.endswith(".*")]
    return [name for name in one_by_one if requirements.get(name, True) or evidence.is_complete(name)]


def _requirements() -> dict[str, bool]:
    """Every requirement of the implemented blocks, and whether it is the CSMS's duty."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(DATA.read_text())
    rows = (row for use_case, rows in found.items() if use_case[0] in BLOCKS for row in rows.items())
    return {name: requirement["duty"] == "CSMS" for name, requirement in rows}


def _evidence() -> Evidence:
    return Evidence(citations(_CODE), citations(_TESTS, without=_NO_TESTS), tomllib.loads(_NOTES.read_text()))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where each id is cited in code and tests, and the notes."""

    code: Mapping[str, list[str]]
    proofs: Mapping[str, list[str]]
    notes: Mapping[str, list[dict[str, Any]]]

    def is_complete(self, name: str) -> bool:
        """Whether it has a place in the code and a test."""
        return bool(self.code.get(name) and self.proofs.get(name))

    def state(self, name: str) -> State:
        """The state of a requirement that is the station's duty."""
        places, proofs = (tuple(sorted(set(cited.get(name, ())))) for cited in (self.code, self.proofs))
        noted = None if self.is_complete(name) else self._noted(name, places, proofs)
        if noted is not None:
            return noted
        if places:
            return State(Word.MET if proofs else Word.UNTESTED, "", places, proofs)
        return State(Word.NO_CODE if proofs else Word.OPEN, "", places, proofs)

    def _noted(self, name: str, places: tuple[str, ...], proofs: tuple[str, ...]) -> State | None:
        for kind, notes in self.notes.items():
            for note in notes:
                if name in note["ids"] or f"{name[:3]}.*" in note["ids"]:
                    return self._note(kind, note, places, proofs)
        return None

    def _note(self, kind: str, note: dict[str, Any], places: tuple[str, ...], proofs: tuple[str, ...]) -> State:
        match kind:
            case "as":
                same = self.state(note["of"])
                return replace(same, why=f"as {note['of']}", proofs=proofs or same.proofs)
            case "absence":
                return State(Word.ABSENCE if proofs else Word.UNTESTED, note["why"], places, proofs)
            case "absent":
                return State(Word.NOT_APPLICABLE, note["why"])
            case _:
                return State(Word.CHOICE, note["what"], places, proofs)


def citations(folders: Iterable[str], *, without: tuple[str, ...] = (), root: Path = _ROOT) -> dict[str, list[str]]:
    """Requirement id -> where it is cited, as `path:qualified name`; no name for the top level of a module."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in (file for folder in folders for file in sorted((root / folder).rglob("*.py"))):
        path = file.relative_to(root).as_posix()
        text = file.read_text(encoding="utf-8")
        if ".FR." not in text or path.startswith(without):
            continue
        names = _names(ast.parse(text))
        for number, line in enumerate(text.splitlines(), start=1):
            for name in _ids(line):
                found[name].append(f"{path}:{_enclosing(names, number)}")
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


def _names(tree: ast.AST, outer: str = "") -> list[tuple[int, int, str]]:
    """(first line, last line, qualified name) of every class, function, constant and field, outer before inner ones.

    A decorator belongs to what it decorates, and a docstring to the constant or field before it.
    """
    found: list[tuple[int, int, str]] = []
    documented = ""
    for node in ast.iter_child_nodes(tree):
        own = _own_name(node, tree) or (documented if isinstance(node, ast.Expr) else "")
        documented = own if isinstance(node, ast.Assign | ast.AnnAssign) else ""
        name = ".".join(filter(None, (outer, own)))
        if own and isinstance(node, ast.stmt):
            decorators = [decorator.lineno for decorator in getattr(node, "decorator_list", ())]
            found.append((min([node.lineno, *decorators]), node.end_lineno or node.lineno, name))
        found += _names(node, name)
    return found


def _own_name(node: ast.AST, within: ast.AST) -> str:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name if isinstance(within, ast.Module | ast.ClassDef) else ""
        case _:
            return ""


def _enclosing(names: list[tuple[int, int, str]], line: int) -> str:
    inner = [name for first, last, name in names if first <= line <= last]
    return inner[-1] if inner else ""


def page() -> str:
    """The whole page, as Markdown."""
    found = states()
    lines = [
        "# Requirements",
        "",
        "Every functional requirement of OCPP 2.0.1 part 2 (with the errata of 2025-09) in the functional blocks that",
        "the station has, and its state. Made by `python -m tools.generate.requirements`; do not edit.",
        "",
        *block_table(found),
        "",
        "| state | meaning |",
        "|---|---|",
        *(f"| {word} | {meaning} |" for word, meaning in _LEGEND.items()),
        "",
        "`as X` means that another requirement says the same. A place is a file and, in it, a class, function or",
        "constant; a file without a name is meant as a whole. At most three are named.",
    ]
    use_case = ""
    for name, state in found.items():
        if name[:3] != use_case:
            use_case = name[:3]
            lines += ["", f"## {use_case}", "", "| id | state | by | shown by |", "|---|---|---|---|"]
        word = f"{state.word}: {state.why}" if state.why else state.word
        lines.append(f"| {name} | {word} | {_short(state.places)} | {_short(state.proofs)} |")
    return "\n".join(lines) + "\n"


def block_table(found: Mapping[str, State]) -> list[str]:
    """How many requirements of each block, and of all, are in which state. Of the unproven states only those that occur
    are shown."""
    count = Counter((name[0], state.word) for name, state in found.items())
    words = [*_LEGEND, *(word for word in _UNPROVEN if any(count[letter, word] for letter in BLOCKS))]
    rows = [(f"{letter} {title}", [count[letter, word] for word in words]) for letter, title in BLOCKS.items()]
    rows.append(("**all**", [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]))
    return [
        f"| block | {' | '.join(words)} |",
        f"|---|{'--:|' * len(words)}",
        *(f"| {title} | {' | '.join(map(str, numbers))} |" for title, numbers in rows),
    ]


def _short(places: tuple[str, ...], most: int = 3) -> str:
    shown = [_link(place) for place in places[:most]]
    return ", ".join(shown) + (f" and {len(places) - most} more" if len(places) > most else "")


def _link(place: str) -> str:
    """The file, linked, by the end of its path that says enough, and the name in it."""
    path, _, name = place.partition(":")
    parts = Path(path).parts
    link = f"[{'/'.join(parts[-2:])}](../{path})"
    return f"{link} `{name}`" if name else link


def main() -> int:
    (_ROOT / "docs" / "conformance.md").write_text(page(), encoding="utf-8")
    left, needless = unproven(states()), needless_notes()
    print(f"{len(left)} without proof: {' '.join(left)}" if left else "every requirement has its state")
    if needless:
        print(f"needless in notes.toml: {' '.join(needless)}")
    return 1 if left or needless else 0


if __name__ == "__main__":
    sys.exit(main())
