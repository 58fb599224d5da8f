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
_ID = re.compile(r"([A-P]\d\d)\.FR\.\d+$")
_LEVELS = ("SHALL", "MUST", "RECOMMENDED", "SHOULD", "MAY")
_LEVEL_OF = {"MUST": "SHALL", "RECOMMENDED": "SHOULD"}


def extract(*texts: str) -> dict[str, dict[str, dict[str, str]]]:
    """Use case -> requirement id -> duty and level; later texts (errata) add to and replace what earlier ones say."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for text in texts:
        for row in _ROW.findall(text):
            cells = [_plain(cell) for cell in _CELL.findall(row)]
            if cells and cells[0] in ("New text", "Old text", "New", "Old", "Delete", "New requirement"):
                kind, cells = cells[0], cells[1:]
                if kind in ("Old text", "Old"):
                    continue
                if cells and (kind == "Delete" or "<Requirement removed>" in cells):
                    found.get(cells[0][:3], {}).pop(cells[0], None)
                    continue
            match = _ID.match(cells[0]) if cells else None
            if match:
                found.setdefault(match[1], {})[cells[0]] = _facts(cells)
    return {use_case: dict(sorted(rows.items())) for use_case, rows in sorted(found.items())}


def _facts(cells: list[str]) -> dict[str, str]:
    definition = next((cell for cell in cells[1:] if _level(cell)), "")
    subject = definition.lower()
    csms = subject.startswith(("the csms", "csms", "authorizationresponse", "the cso"))
    return {"duty": "CSMS" if csms else "station", "level": _level(definition) or "SHALL"}


def _level(text: str) -> str | None:
    placed = [(text.find(level), level) for level in _LEVELS if level in text]
    if not placed:
        return None
    level = min(placed)[1]
    return _LEVEL_OF.get(level, level)


def _plain(cell: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", cell))).strip()


if __name__ == "__main__":
    requirements = extract(*(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]))
    DATA.write_text(json.dumps(requirements, indent=1) + "\n", encoding="utf-8")
