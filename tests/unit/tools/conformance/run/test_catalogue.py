# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tools.conformance.run.catalogue import HOME_PRODUCT, Entry, applicability, load, select
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


def test_the_grammar_agrees_with_the_table_for_our_product() -> None:
    answers = product_under_test(None).answers
    other = [e.id for e in load() if e.status == "C" and evaluate(e.condition, answers) is not e.applies]
    assert other == ["TC_F_06_CS"]  # its condition points into the printed table


def test_there_are_230_cases_and_their_ids_are_unique() -> None:
    entries = load()
    assert len(entries) == len({entry.id for entry in entries}) == 230
    assert sum(entry.applies for entry in entries) == 153


def test_select_knows_globs_short_names_and_blocks() -> None:
    entries = load()
    assert [e.id for e in select(entries, "B_01")[0]] == ["TC_B_01_CS"]
    assert {e.block for e in select(entries, "p")[0]} == {"P"}
    assert {e.id for e in select(entries, "TC_B_2?_CS, F_08")[0]} >= {"TC_B_20_CS", "TC_F_08_CS"}


def test_select_names_the_globs_that_match_nothing() -> None:
    chosen, unmatched = select(load(), "B_01,X_*,C_01")
    assert [e.id for e in chosen] == ["TC_B_01_CS"]
    assert unmatched == ["X_*", "C_01"]


def test_a_condition_is_told_with_the_products_answers() -> None:
    answers = {"C-09.1": False, "C-31": True, "HFS-8": 2}
    assert operands("C.09.1 and (C-30 - C-32 or HFS-8 > 1 or C-99)", answers) == {
        "C-09.1": "No",
        "C-30 - C-32": "Yes",
        "HFS-8": "2",
        "C-99": "not answered",
    }


def entry(status: str, condition: str, applies: bool) -> Entry:
    return Entry("TC_X_01_CS", "Core", "group", "name", status, condition, applies, "why it is so")


def test_our_product_follows_the_table_and_another_its_answers() -> None:
    conditional = entry("C", "NOT C-30", True)
    assert applicability(conditional, HOME_PRODUCT, ANSWERS).why == "why it is so"
    assert applicability(conditional, HOME_PRODUCT, ANSWERS).applies
    assert not applicability(conditional, "full", ANSWERS).applies
    assert applicability(entry("M", "C-44", True), "full", ANSWERS).applies


def test_what_another_product_does_not_answer_is_skipped_with_the_condition() -> None:
    ruling = applicability(entry("C", "C-99", True), "full", ANSWERS)
    assert not ruling.applies
    assert "C-99" in ruling.why
