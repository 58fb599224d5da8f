# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md lists every requirement, and says of each what can be seen."""

from __future__ import annotations

import json
from pathlib import Path

from tools.generate.extract_requirements import DATA, extract
from tools.generate.requirements import BLOCKS, page, states

_ROW = "<tr><td>{id}</td><td></td><td>{text}</td></tr>"


def test_no_requirement_is_missing_and_none_is_open() -> None:
    requirements = json.loads(DATA.read_text())
    wanted = {name for use_case, rows in requirements.items() if use_case[0] in BLOCKS for name in rows}
    found = states()
    assert set(found) == wanted
    assert len(wanted) > 500
    assert [name for name, state in found.items() if state.word in ("open", "not tested")] == []


def test_the_page_is_up_to_date() -> None:
    written = Path("docs/conformance.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m tools.generate.requirements"


def test_duties_levels_and_errata_are_read() -> None:
    part2 = "".join(
        [
            _ROW.format(id="E01.FR.01", text="The Charging Station SHALL start."),
            _ROW.format(id="E01.FR.02", text="The CSMS SHALL answer."),
            _ROW.format(id="E01.FR.03", text="It is RECOMMENDED to wait."),
            _ROW.format(id="E01.FR.04", text="To start a Charging Station, the CSMS SHALL ask it."),
            _ROW.format(id="E01.FR.05", text="The Charging Station and the CSMS SHALL wait."),
            _ROW.format(id="E06.FR.05", text="The Charging Station SHALL stop."),
            _ROW.format(id="E06.FR.06", text="The Charging Station SHALL stop twice."),
        ]
    )
    errata = "".join(
        [
            "<tr><td>Delete</td><td>E06.FR.05</td><td></td></tr>",
            _ROW.format(id="E01.FR.25", text="The Charging Station MAY continue."),
            "<tr><td>New requirement</td><td>E01.FR.26</td><td></td><td>The Charging Station SHOULD report.</td></tr>",
            "<tr><td>New text</td><td>E06.FR.06</td><td></td><td>&lt;Requirement removed&gt;</td><td></td></tr>",
            "<tr><td>Added (Corrected in 2025-04)</td><td>E01.FR.27</td><td></td><td>It SHALL end.</td></tr>",
            "<tr><td>Old text (Corrected in 2025-04)</td><td>E01.FR.27</td><td></td><td>It MAY end.</td></tr>",
            _ROW.format(id="E01.FR.28 (new)", text="The Charging Station SHALL boot."),
        ]
    )
    assert extract(part2, errata) == {
        "E01": {
            "E01.FR.01": {"duty": "station", "level": "SHALL"},
            "E01.FR.02": {"duty": "CSMS", "level": "SHALL"},
            "E01.FR.03": {"duty": "station", "level": "SHOULD"},
            "E01.FR.04": {"duty": "CSMS", "level": "SHALL"},
            "E01.FR.05": {"duty": "station", "level": "SHALL"},
            "E01.FR.25": {"duty": "station", "level": "MAY"},
            "E01.FR.26": {"duty": "station", "level": "SHOULD"},
            "E01.FR.27": {"duty": "station", "level": "SHALL"},
            "E01.FR.28": {"duty": "station", "level": "SHALL"},
        },
        "E06": {},
    }
