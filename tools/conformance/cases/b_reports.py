# SPDX-License-Identifier: Apache-2.0
"""Block B, provisioning: the base reports (B07) and the variables every station must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.conformance.bench import inventory
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.inventory import LIST_TYPES, Reported
from tools.conformance.checks.required_variables import RequiredVariable, required_variables
from tools.conformance.run.registry import case


def _places(t: Bench, row: RequiredVariable) -> Sequence[int | None]:
    """Where the variable must be: on every EVSE for the EVSE and Connector rows, else on the station."""
    return t.fixtures.evses if row.component in ("EVSE", "Connector") else (None,)


def _expected(t: Bench) -> Iterator[tuple[RequiredVariable, int | None]]:
    for row in required_variables(t.fixtures.answers):
        for evse in _places(t, row):
            yield row, evse


def _check_each(t: Bench, variables: Sequence[Reported], req: str) -> None:
    """Every variable has characteristics, and one of a list type has its values."""
    for variable in variables:
        t.check(variable.data_type, req, f"{variable} has no variableCharacteristics")
        if variable.data_type in LIST_TYPES:
            t.check(variable.allowed, req, f"{variable} is a {variable.data_type} without valuesList")


@case("TC_B_12_CS")
async def tc_b_12_cs(t: Bench) -> None:
    """Red when: a read-only variable is in the report, or a required writable one is missing."""
    variables = await inventory.collect(t, "ConfigurationInventory")
    t.step("post")
    _check_each(t, variables, "B07.FR.07")
    for variable in variables:
        for kind, attribute in variable.attributes.items():
            mutability = attribute.get("mutability", "ReadWrite")
            text = f"{kind} of {variable} is {mutability}, which does not belong into this report"
            t.check(mutability in ("ReadWrite", "WriteOnly"), "B07.FR.07", text)
    for row, evse in _expected(t):
        if row.writable:
            found = inventory.find(variables, row, evse=evse)
            t.check(found, "B07.FR.07", f"the required writable {row} is not reported")


@case("TC_B_13_CS")
async def tc_b_13_cs(t: Bench) -> None:
    """Red when: one required variable, or the characteristics of one variable, are left out."""
    variables = await inventory.collect(t, "FullInventory")
    t.step("post")
    _check_each(t, variables, "B07.FR.08")
    for row, evse in _expected(t):
        place = "" if evse is None else f" of EVSE {evse}"
        found = inventory.find(variables, row, evse=evse)
        t.check(found, "B07.FR.08", f"the required {row}{place} is not reported")


@case("TC_B_14_CS")
async def tc_b_14_cs(t: Bench) -> None:
    """Red when: the AvailabilityState of an EVSE is left out, or the report is the full one."""
    variables = await inventory.collect(t, "SummaryInventory")
    t.step("post")
    _check_each(t, variables, "B07.FR.09")
    states = {(v.component, v.evse) for v in variables if v.variable == "AvailabilityState"}
    t.check(("ChargingStation", None) in states, "B07.FR.09", "no AvailabilityState of the ChargingStation")
    for evse in t.fixtures.evses:
        t.check(("EVSE", evse) in states, "B07.FR.09", f"no AvailabilityState of EVSE {evse}")
    settings = [str(v) for v in variables if v.component.endswith("Ctrlr") and v.mutability == "ReadWrite"]
    t.check(not settings, "B07.FR.09", f"a summary reports availability and problems, not settings: {settings[:3]}")


@case("TC_B_53_CS")
async def tc_b_53_cs(t: Bench) -> None:
    """Red when: a variable that can be read is reported without a value, or with one outside its valuesList."""
    variables = await inventory.collect(t, "FullInventory", steps=(2, 3))
    t.step("post")
    _check_each(t, variables, "B07.FR.08")
    for row, evse in _expected(t):
        place = "" if evse is None else f" of EVSE {evse}"
        found = inventory.find(variables, row, evse=evse)
        if t.check(found, "B07.FR.08", f"the required {row}{place} is not reported") and found is not None:
            _check_against(t, row, found)
    for variable in variables:
        _check_value(t, variable)


def _check_against(t: Bench, row: RequiredVariable, found: Reported) -> None:
    """Type and mutability are those of part 2 (a list may be of another list type)."""
    same = found.data_type == row.data_type or {found.data_type, row.data_type} <= LIST_TYPES
    t.check(same, "part 2, 2.1 to 2.14", f"{found} is a {found.data_type}, expected {row.data_type}")
    if row.writable is not None:
        allowed = ("ReadWrite",) if row.writable else ("ReadOnly",)
        text = f"{found} is {found.mutability}, expected {allowed[0]}"
        t.check(found.mutability in allowed, "part 2, 2.1 to 2.14", text)


def _check_value(t: Bench, variable: Reported) -> None:
    """Erratum 6.2.19: every readable variable has a value, except EVSE.Power, which has a maxLimit."""
    req = "part 6, erratum 6.2.19"
    if variable.mutability == "WriteOnly":
        t.check(variable.value is None, req, f"{variable} is WriteOnly and must not have a value")
        return
    if (variable.component, variable.variable) == ("EVSE", "Power"):
        t.check("maxLimit" in variable.characteristics, req, f"{variable} has no maxLimit")
        return
    t.check(variable.value is not None, req, f"{variable} has no value")
    wrong = inventory.wrong_value(variable)
    t.check(wrong is None, "B07.FR.08", f"{variable}: {wrong}")
