# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal: as wide as it is, or 100 columns where there is none. What does not fit ends in `…`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

__all__ = ["cut", "table", "width"]

_WIDTH = 100
_GAP = "  "


def width() -> int:
    """The terminal's columns; 100 if the output goes to a file or another program, whoever's terminal that has."""
    return shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH


def cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: max(0, columns - 1)] + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, columns: int | None = None) -> str:
    """`head` and `rows` in columns. None is shown as `-`, a bool as yes or no; the widest columns give way first."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    room = (width() if columns is None else columns) - len(_GAP) * (len(head) - 1)
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return "\n".join(
        _GAP.join(cut(text, size).ljust(size) for text, size in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
