# SPDX-License-Identifier: Apache-2.0
"""Writes `cases.json` from a table: `python -m tools.generate.catalogue TABLE.csv`.

The table has a row for each charging-station test case with the columns test_case, profile, group, name, status
(M or C), condition, applies and why; the last two are the answers of the product the project is built for.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from tools.conformance.run.catalogue import CATALOGUE

__all__ = ["main"]


def _entry(row: dict[str, str]) -> dict[str, object]:
    return {
        "id": row["test_case"],
        "profile": row["profile"],
        "group": row["group"].replace("Groupld", "GroupId"),
        "name": row["name"].replace("onauthorizeResponse", "on AuthorizeResponse").replace("Invalidld", "InvalidId"),
        "status": row["status"],
        "condition": row["condition"],
        "applies": row["applies"] == "yes",
        "why": row["why"],
    }


def main(argv: list[str]) -> int:
    """Converts the table named in `argv`; 0, or 2 when it is not given."""
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    with Path(argv[0]).open(newline="") as file:
        entries = [_entry(row) for row in csv.DictReader(file)]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    CATALOGUE.write_text(f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
