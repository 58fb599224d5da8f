# SPDX-License-Identifier: Apache-2.0
"""The table of docs/device-faults.md: each fault of each simulator, and what the station does and reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from firmware.contract import Fault

__all__ = ["ROWS", "Row", "row_of"]

PAGE = Path(__file__).parents[2] / "docs" / "device-faults.md"
_NONE = "–"


@dataclass(frozen=True)
class Row:
    """A fault of a device; the other fields are the columns of the page.

    Attributes:
        code: the code of the report beside the fault's name; None without one.
        words: of the techInfo.
        session: `ends`, `goes on`, `all`, `fails` or, for a fault that shows after a session, `over`.
        by_plug: whether the outlet is free only when the plug is out.
    """

    device: str
    fault: str
    when: str
    report: Fault | None
    code: str | None
    words: str
    session: str
    by_plug: bool

    @property
    def is_bridged(self) -> bool:
        return self.report is None and self.session == "goes on"

    def __str__(self) -> str:
        return f"{self.device} {self.fault}"


def _row(line: str) -> Row:
    device, fault, _what, when, report, words, session, free = (cell.strip() for cell in line.strip("|").split(" | "))
    name = re.search(r"`(\w+)`", report)
    code = re.search(r"CX\d+", report)
    return Row(
        device=device,
        fault=fault.strip("`"),
        when=when,
        report=Fault(name[1]) if name else None,
        code=code[0] if code else None,
        words="" if words == _NONE else words,
        session=session,
        by_plug=free == "plug",
    )


ROWS = [_row(line) for line in PAGE.read_text().splitlines() if re.match(r"\| [\w ]+ \| `", line)]


def row_of(device: str, fault: str) -> Row:
    return next(row for row in ROWS if (row.device, row.fault) == (device, fault))
