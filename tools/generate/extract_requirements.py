# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.generate.extract_requirements PART2 ERRATA`: which functional requirements there are, as data.

Writes `requirements.json` beside this file: for each use case the ids of its requirements, with whose duty each is (the
station's or the CSMS's) and how binding (SHALL, SHOULD, MAY). Facts only: no text of the specification is kept.
"""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

__all__ = ["DATA", "extract"]

DATA = Path(__file__).with_name("requirements.json")
_ROW = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh][^>]*>(.*?)</t[dh]>", re.DOTALL)
_ID = re.compile(r"(([A-P]\d\d)\.FR\.\d+)(?: \(new\))?$")
_ERRATUM = re.compile(r"(New|Added|Changed|Old|Delete)\b")
_CSMS = ("the csms", "csms", "authorizationresponse", "the cso")
_LEVELS = ("SHALL", "MUST", "RECOMMENDED", "SHOULD", "MAY")
_LEVEL_OF = {"MUST": "SHALL", "RECOMMENDED": "SHOULD"}


def extract(*texts: str) -> dict[str, dict[str, dict[str, str]]]:
    """Use case -> requirement id -> duty and level; later texts (errata) add to and replace what earlier ones say."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for text in texts:
        for row in _ROW.findall(text):
            cells = [_plain(cell) for cell in _CELL.findall(row)]
            erratum = _ERRATUM.match(cells[0]) if cells else None
            if erratum:
                cells = cells[1:]
            match = _ID.match(cells[0]) if cells else None
            if match is None or (erratum and erratum[1] == "Old"):
                continue
            if (erratum and erratum[1] == "Delete") or "<Requirement removed>" in cells:
                found.get(match[2], {}).pop(match[1], None)
            else:
                found.setdefault(match[2], {})[match[1]] = _facts(cells)
    return {use_case: dict(sorted(rows.items())) for use_case, rows in sorted(found.items())}


def _facts(cells: list[str]) -> dict[str, str]:
    definition = next((cell for cell in cells[1:] if _level(cell)[1]), "")
    place, level = _level(definition)
    subject = definition[:place].lower().rstrip()
    csms = subject.startswith(_CSMS) or subject.endswith(", the csms")
    return {"duty": "CSMS" if csms else "station", "level": _LEVEL_OF.get(level, level) or "SHALL"}


def _level(text: str) -> tuple[int, str]:
    """The first word that says how binding it is, and where it is; -1 and "" if there is none."""
    return min(((text.find(level), level) for level in _LEVELS if level in text), default=(-1, ""))


def _plain(cell: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", cell))).strip()


if __name__ == "__main__":
    requirements = extract(*(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]))
    DATA.write_text(json.dumps(requirements, indent=1) + "\n", encoding="utf-8")
