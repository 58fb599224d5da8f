# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tools.conformance.run.catalogue import load
from tools.conformance.run.conditions import Answers, evaluate, operands
from tools.conformance.run.product import product_under_test

ANSWERS: Answers = {
    "C-30": True,
    "C-06.1": False,
    "C-35": False,
    "AQ-2": False,
    "HFS-8": 2,
    "HFS-9": "",
    "profile-smart-charging": False,
}


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("", True),
        ("C-30", True),
        ("NOT C-30", False),
        ("C-30 and NOT AQ-2", True),
        ("AQ-2 or C-30", True),
        ("NOT AQ-2 and (AQ-2 or C-30)", True),
        ("HFS-8 > 1", True),
        ("HFS-8 > 2", False),
        ("HFS-9", False),
        ("C.06.1 or C35", False),
        ("NOT Smart Charging", True),
        ("C-99", None),
        ("C-99 and C-30", None),
        ("C-99 and AQ-2", False),
        ("C-99 or C-30", True),
        ("NOT C-99", None),
        ("C-30 - C-31", True),
        ("See column 3/4", None),
        ("(C-30", None),
        ("CSMS: C-99 Charging Station: NOT AQ-2", True),
        ("NOT AQ-2 (errata 5.7)", True),
    ],
)
def test_conditions_have_three_values(condition: str, value: bool | None) -> None:
    assert evaluate(condition, ANSWERS) is value


def test_the_grammar_agrees_with_the_table_for_the_projects_product() -> None:
    answers = product_under_test(None).answers
    other = [e.id for e in load() if e.status == "C" and evaluate(e.condition, answers) is not e.applies]
    assert other == ["TC_F_06_CS"]  # its condition points into the printed table


def test_a_condition_is_shown_with_the_products_answers() -> None:
    answers = {"C-09.1": False, "C-31": True, "HFS-8": 2}
    assert operands("C.09.1 and (C-30 - C-32 or HFS-8 > 1 or C-99)", answers) == {
        "C-09.1": "No",
        "C-30 - C-32": "Yes",
        "HFS-8": "2",
        "C-99": "not answered",
    }
