# SPDX-License-Identifier: Apache-2.0
"""Writes `services/ocpp/device_model/standard.json` from the appendix table of OCPP 2.0.1 (`dm_components_vars.csv`).

    python -m tools.generate.device_model PATH/dm_components_vars.csv [--output FILE]

Only facts are taken over: component, variable, instance, whether it is required, data type and unit. Where the table
leaves a fact out, or part 2 ("Referenced Components and Variables") or its errata say otherwise, `CORRECTIONS` wins.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import NamedTuple

__all__ = ["CORRECTIONS", "Fact", "generate", "main", "read_table"]

GENERIC = "*"
"""The component of variables that any component may have."""


class Fact(NamedTuple):
    """One row of the result."""

    component: str
    variable: str
    instance: str
    required: bool
    data_type: str
    unit: str


CORRECTIONS = (
    # Part 2, referenced variables: data type.
    Fact("OCPPCommCtrlr", "NetworkConfigurationPriority", "", True, "SequenceList", ""),  # 2.1.6
    Fact("OCPPCommCtrlr", "ActiveNetworkProfile", "", True, "integer", ""),  # erratum 2.57
    # Part 2, referenced variables: unit.
    Fact("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", True, "integer", "s"),  # 2.1.11
    Fact("ClockCtrlr", "TimeAdjustmentReportingThreshold", "", False, "integer", "s"),  # 2.1.32
    Fact("AuthCacheCtrlr", "LifeTime", "", False, "integer", "s"),  # 2.4.3
    Fact("TxCtrlr", "MaxEnergyOnInvalidId", "", False, "integer", "Wh"),  # 2.6.7
    # Part 4, chapter 8: required of every station that speaks OCPP-J.
    Fact("OCPPCommCtrlr", "RetryBackOffRepeatTimes", "", True, "integer", ""),  # 8.1
    Fact("OCPPCommCtrlr", "RetryBackOffRandomRange", "", True, "integer", "s"),  # 8.2
    Fact("OCPPCommCtrlr", "RetryBackOffWaitMinimum", "", True, "integer", "s"),  # 8.3
    Fact("OCPPCommCtrlr", "WebSocketPingInterval", "", True, "integer", "s"),  # 8.4
    # Errata of 2025-09: new variables.
    Fact("SecurityCtrlr", "AllowSecurityProfileDowngrade", "", False, "boolean", ""),  # 2.5
    Fact("SecurityCtrlr", "AllowCSMSTLSWildcards", "", False, "boolean", ""),  # 2.62
    Fact("AuthCtrlr", "SupportedIdTokenTypes", "", False, "MemberList", ""),  # 2.63
)

# In reports a variable's data type is one of DataEnumType (part 2, 3.26).
_DATA_TYPES = {"passwordString": "string", "identifierString": "string"}


def read_table(path: Path) -> list[Fact]:
    """The facts of the appendix table, corrected. A unit column with a choice (`W, kW`) means its first."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=";")]
    facts: dict[tuple[str, str, str], Fact] = {}
    for component, variable, instance, required, data_type, unit, *_ in (row for row in rows[1:] if len(row) > 5):
        component = GENERIC if component == "<generic>" else component
        instance = GENERIC if instance.startswith("<") else instance
        kind = _DATA_TYPES.get(data_type, data_type)
        fact = Fact(component, variable, instance, required == "yes", kind, unit.split(",")[0].strip())
        facts[component, variable, instance] = fact
    for fact in CORRECTIONS:
        facts[fact.component, fact.variable, fact.instance] = fact
    return sorted(facts.values())


def generate(facts: list[Fact]) -> str:
    """The text of `standard.json`: one array a line, so that a change of the table shows as a small diff."""
    lines = ",\n".join(f"  {json.dumps(fact)}" for fact in facts)
    return f"[\n{lines}\n]\n"


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module."""
    default = Path(__file__).parents[2] / "services" / "ocpp" / "device_model" / "standard.json"
    parser = argparse.ArgumentParser(description="Generates the facts of the standardised device-model variables.")
    parser.add_argument("table", type=Path, help="dm_components_vars.csv")
    parser.add_argument("--output", type=Path, default=default)
    chosen = parser.parse_args(arguments)
    chosen.output.write_text(generate(read_table(chosen.table)), encoding="utf-8")


if __name__ == "__main__":
    main()
