# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md lists every requirement with its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.generate.extract_requirements import DATA, extract
from tools.generate.requirements import (
    BLOCKS,
    Evidence,
    State,
    Word,
    block_table,
    citations,
    needless_notes,
    page,
    states,
    unproven,
)

_ROW = "<tr><td>{id}</td><td></td><td>{text}</td></tr>"

CODE = '''
"""A01.FR.01"""
WIDTH = {
    "closed": 0,  # A01.FR.09
}
"""A01.FR.10"""
class Door:
    lock: str = ""
    """A01.FR.11"""
    """A01.FR.12"""
    # A01.FR.02
    @cached  # A01.FR.03
    def open(self):
        def inside():
            return 1  # A01.FR.04, A01.FR.05
        number = 1  # A01.FR.13
        return inside  # A01.FR.06 to FR.08
'''


def test_no_requirement_is_missing_and_none_is_open() -> None:
    requirements = json.loads(DATA.read_text())
    expected = {name for use_case, rows in requirements.items() if use_case[0] in BLOCKS for name in rows}
    found = states()
    assert set(found) == expected
    assert len(expected) > 500
    assert unproven(found) == []


def test_no_note_is_needless() -> None:
    assert needless_notes() == []


def test_the_page_is_up_to_date() -> None:
    committed = Path("docs/conformance.md").read_text(encoding="utf-8")
    assert committed == page(), "run: python -m tools.generate.requirements"


# --- what the code says --------------------------------------------------------------------------------------------


def test_a_place_is_a_qualified_name(tmp_path: Path) -> None:
    (tmp_path / "code" / "tools").mkdir(parents=True)
    (tmp_path / "code" / "door.py").write_text(CODE)
    (tmp_path / "code" / "tools" / "other.py").write_text(CODE)
    found = citations(["code"], without=("code/tools/",), root=tmp_path)
    assert found == {
        "A01.FR.01": ["code/door.py:"],
        "A01.FR.02": ["code/door.py:Door"],
        "A01.FR.03": ["code/door.py:Door.open"],  # a decorator belongs to its function
        "A01.FR.04": ["code/door.py:Door.open.inside"],
        "A01.FR.05": ["code/door.py:Door.open.inside"],
        "A01.FR.06": ["code/door.py:Door.open"],
        "A01.FR.07": ["code/door.py:Door.open"],
        "A01.FR.08": ["code/door.py:Door.open"],
        "A01.FR.09": ["code/door.py:WIDTH"],
        "A01.FR.10": ["code/door.py:WIDTH"],  # a docstring belongs to the constant or field before it
        "A01.FR.11": ["code/door.py:Door.lock"],
        "A01.FR.12": ["code/door.py:Door"],
        "A01.FR.13": ["code/door.py:Door.open"],
    }


ABSENCE = {"absence": [{"ids": ["A01.FR.01"], "why": "nothing does it"}]}
SAME = {"as": [{"ids": ["A01.FR.01"], "of": "A01.FR.02"}]}


@pytest.mark.parametrize(
    ("code", "proofs", "notes", "state"),
    [
        ({"A01.FR.01": ["a:f"]}, {"A01.FR.01": ["t:g"]}, {}, State(Word.MET, "", ("a:f",), ("t:g",))),
        ({"A01.FR.01": ["a:f"]}, {"A01.FR.01": ["t:g"]}, ABSENCE, State(Word.MET, "", ("a:f",), ("t:g",))),
        ({"A01.FR.01": ["a:f"]}, {}, {}, State(Word.UNTESTED, "", ("a:f",))),
        ({}, {"A01.FR.01": ["t:g"]}, {}, State(Word.NO_CODE, "", (), ("t:g",))),
        ({}, {}, {}, State(Word.OPEN)),
        ({}, {"A01.FR.01": ["t:g"]}, ABSENCE, State(Word.ABSENCE, "nothing does it", (), ("t:g",))),
        ({}, {}, ABSENCE, State(Word.UNTESTED, "nothing does it")),
        ({"A01.FR.02": ["a:f"]}, {"A01.FR.02": ["t:g"]}, SAME, State(Word.MET, "as A01.FR.02", ("a:f",), ("t:g",))),
        (
            {"A01.FR.02": ["a:f"]},
            {"A01.FR.01": ["t:h"], "A01.FR.02": ["t:g"]},
            SAME,
            State(Word.MET, "as A01.FR.02", ("a:f",), ("t:h",)),
        ),
        ({}, {"A01.FR.01": ["t:h"], "A01.FR.02": ["t:g"]}, SAME, State(Word.NO_CODE, "as A01.FR.02", (), ("t:h",))),
        ({}, {}, {"absent": [{"ids": ["A01.*"], "why": "no door"}]}, State(Word.NOT_APPLICABLE, "no door")),
        ({}, {}, {"choice": [{"ids": ["A01.FR.01"], "what": "it waits"}]}, State(Word.CHOICE, "it waits")),
    ],
)
def test_the_state_follows_from_code_tests_and_notes(
    code: Mapping[str, list[str]],
    proofs: Mapping[str, list[str]],
    notes: Mapping[str, list[dict[str, Any]]],
    state: State,
) -> None:
    assert Evidence(code, proofs, notes).state("A01.FR.01") == state
    assert unproven({"A01.FR.01": state}) == (
        ["A01.FR.01"] if state.word in (Word.UNTESTED, Word.NO_CODE, Word.OPEN) else []
    )


def test_the_table_of_blocks_sums_up() -> None:
    found = {
        "A01.FR.01": State(Word.MET),
        "A01.FR.02": State(Word.CSMS),
        "B01.FR.01": State(Word.MET),
        "B01.FR.02": State(Word.NO_CODE),
    }
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block_table(found)]
    assert head[1:] == ["met", "met by absence", "by choice", "does not apply", "the CSMS's", "no place in the code"]
    assert rows[0] == ["A Security", "1", "0", "0", "0", "1", "0"]
    assert rows[1] == ["B Provisioning", "1", "0", "0", "0", "0", "1"]
    assert rows[-1] == ["**all**", "2", "0", "0", "0", "1", "1"]
    assert "no place" not in block_table({"A01.FR.01": State(Word.MET)})[0]


# --- what the specification says -----------------------------------------------------------------------------------


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
