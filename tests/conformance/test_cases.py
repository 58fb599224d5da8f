# SPDX-License-Identifier: Apache-2.0
"""The quick cases of part 6, each against a rig of its own; `baywatt conformance` runs all cases.

Each takes less than four seconds; of cases that differ only in a value one is here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tools.conformance.run.results import Outcome, Result

pytestmark = [pytest.mark.conformance, pytest.mark.slow]

QUICK = """
A_01 A_09 A_11 A_14 A_20 A_21 A_22
B_01 B_02 B_06 B_09 B_11 B_12 B_13 B_14 B_20 B_23 B_28 B_30 B_32 B_34 B_36 B_37 B_39 B_43
E_03 E_04 E_28 E_34 E_38
F_03 F_11 F_12 F_15 F_18 F_20 F_24 F_26
G_01 G_02 G_03 G_05 G_06 G_09 G_10 G_12 G_15 G_19
J_07
L_05
M_01 M_07 M_12 M_17 M_18 M_20 M_22
N_25 N_32 N_35
P_01 P_03
"""

QUICK_OF_FULL = "L_10 N_28 N_31 N_36"
"""Cases that do not apply to the project's product, but to `full`."""

PATIENCE = 3.0
"""Machines that run tests may be slow."""

_CASES = [(number, "c7am-400-cc") for number in QUICK.split()] + [(number, "full") for number in QUICK_OF_FULL.split()]


@pytest.mark.parametrize(("number", "product"), _CASES)
async def test_case(number: str, product: str, play: Callable[[str, float, str], Awaitable[Result]]) -> None:
    result = await play(f"TC_{number}_CS", PATIENCE, product)
    assert result.outcome is Outcome.PASSED, f"{result.line()}\nThe conversation is in {result.log}"
