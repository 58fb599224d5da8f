# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tools.conformance.run.catalogue import HOME_PRODUCT, Entry, applicability, load, select
from tools.conformance.run.conditions import Answers

ANSWERS: Answers = {
    "C-30": True,
    "C-06.1": False,
    "C-35": False,
    "AQ-2": False,
    "HFS-8": 2,
    "HFS-9": "",
    "profile-smart-charging": False,
}


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


def entry(status: str, condition: str, applies: bool) -> Entry:
    return Entry("TC_X_01_CS", "Core", "group", "name", status, condition, applies, "why it is so")


def test_the_projects_product_follows_the_table_and_another_its_answers() -> None:
    conditional = entry("C", "NOT C-30", True)
    assert applicability(conditional, HOME_PRODUCT, ANSWERS).why == "why it is so"
    assert applicability(conditional, HOME_PRODUCT, ANSWERS).applies
    assert not applicability(conditional, "full", ANSWERS).applies
    assert applicability(entry("M", "C-44", True), "full", ANSWERS).applies


def test_what_another_product_does_not_answer_is_skipped_with_the_condition() -> None:
    ruling = applicability(entry("C", "C-99", True), "full", ANSWERS)
    assert not ruling.applies
    assert "C-99" in ruling.why
