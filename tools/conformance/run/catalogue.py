# SPDX-License-Identifier: Apache-2.0
"""The test cases of part 6, and which of them apply to a product.

`cases.json` has them all (made by `tools/generate/catalogue.py`). For the project's own product the table itself
states which cases apply; for another product the condition is evaluated with that product's answers, and a case whose
condition can't be decided is skipped, never passed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tools.conformance.run.conditions import Answers, evaluate, operands

__all__ = ["CATALOGUE", "HOME_PRODUCT", "Applicability", "Entry", "applicability", "load", "select"]

CATALOGUE = Path(__file__).with_name("cases.json")
HOME_PRODUCT = "c7am-400-cc"


@dataclass(frozen=True)
class Entry:
    """One test case of part 6, as part 5 lists it."""

    id: str
    profile: str
    group: str
    name: str
    status: str
    condition: str
    applies: bool
    why: str

    @property
    def block(self) -> str:
        """The functional block's letter."""
        return self.id.split("_")[1]

    @property
    def title(self) -> str:
        return f"{self.group} - {self.name}"


@dataclass(frozen=True)
class Applicability:
    """Whether a case applies, and why."""

    applies: bool
    why: str


def load(path: Path = CATALOGUE) -> list[Entry]:
    """All cases, in the order of the certification profiles."""
    return [Entry(**entry) for entry in json.loads(path.read_text())]


def select(entries: list[Entry], pattern: str) -> tuple[list[Entry], list[str]]:
    """Selects by comma-separated globs (`TC_B_*`, `b_01`, `B`).

    Returns the entries whose id matches any of them, and the globs that match none.
    """
    globs = [glob.strip().upper() for glob in pattern.split(",") if glob.strip()]
    chosen = [entry for entry in entries if any(_named(entry.id, glob) for glob in globs)]
    return chosen, [glob for glob in globs if not any(_named(entry.id, glob) for entry in entries)]


def _named(case: str, glob: str) -> bool:
    short = case.removeprefix("TC_").removesuffix("_CS")
    return fnmatchcase(case, glob) or fnmatchcase(short, glob) or short.split("_")[0] == glob


def applicability(entry: Entry, product: str, answers: Answers) -> Applicability:
    """Whether `entry` applies to a product with these answers; `product` is its name in factory settings."""
    if product == HOME_PRODUCT:
        return Applicability(entry.applies, entry.why)
    if entry.status == "M":
        return Applicability(True, "mandatory")
    value = evaluate(entry.condition, answers)
    if value is None:
        return Applicability(False, f"the product file does not answer: {entry.condition}")
    given = ", ".join(f"{name} is {answer}" for name, answer in operands(entry.condition, answers).items())
    return Applicability(value, f"{entry.condition} is {'met' if value else 'not met'}: {given}")
