# SPDX-License-Identifier: Apache-2.0
"""GetBaseReport and its NotifyReports as a list of variables, with the checks that every report must pass."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from firmware.clock import parse_utc
from tools.conformance.bench.bench import Bench
from tools.conformance.checks.required_variables import RequiredVariable
from tools.conformance.checks.values import absent_or
from tools.conformance.peer.transcript import Message

__all__ = ["LIST_TYPES", "Reported", "collect", "find", "wrong_value"]

LIST_TYPES = frozenset({"OptionList", "SequenceList", "MemberList"})
DEVIATION_S = 4.0
"""The difference between two clocks that the certification laboratories allow (part 6, 2.1)."""


@dataclass(frozen=True)
class Reported:
    """One variable of a report; its attributes by type."""

    component: str
    evse: int | None
    connector: int | None
    variable: str
    instance: str
    characteristics: dict[str, Any]
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        place = "" if self.evse is None else f"@{self.evse}" + (f"/{self.connector}" if self.connector else "")
        return f"{self.component}{place}.{self.variable}" + (f"[{self.instance}]" if self.instance else "")

    @property
    def value(self) -> str | None:
        """The actual value."""
        return self.attributes.get("Actual", {}).get("value")

    @property
    def mutability(self) -> str:
        """Of the actual value; the default is ReadWrite."""
        return str(self.attributes.get("Actual", {}).get("mutability", "ReadWrite"))

    @property
    def data_type(self) -> str:
        return str(self.characteristics.get("dataType", ""))

    @property
    def allowed(self) -> list[str]:
        """The entries of valuesList."""
        text = str(self.characteristics.get("valuesList", ""))
        return [part.strip() for part in text.split(",") if part.strip()]


async def collect(t: Bench, base: str, *, steps: tuple[int, int] = (1, 3)) -> list[Reported]:
    """Requests the base report and returns its variables; checks requestId, generatedAt, seqNo and tbc."""
    number = t.new_id()
    t.step(steps[0])
    payload = {"requestId": number, "reportBase": base}
    check = {"status": "Accepted", "statusInfo.reasonCode": absent_or("NoError")}
    await t.call("GetBaseReport", payload, check, req="B07.FR.01")
    t.step(steps[1])
    found: list[Reported] = []
    more, seq_no = True, 0
    while more:
        message = await t.expect("NotifyReport", {"requestId": number, "seqNo": seq_no}, req="B07.FR.04", within=15)
        _check_time(t, message)
        found += _read(message)
        more, seq_no = bool(message.get("tbc", False)), seq_no + 1
    return found


def _check_time(t: Bench, message: Message) -> None:
    generated = parse_utc(message.payload["generatedAt"])
    away = abs(time.time() - generated)
    t.check(away < DEVIATION_S + 15, "B07.FR.03", f"generatedAt is {away:.0f} s away from now", message)


def _read(message: Message) -> Iterator[Reported]:
    for data in message.get("reportData", []):
        component, variable = data["component"], data["variable"]
        place = component.get("evse", {})
        attributes = {a.get("type", "Actual"): a for a in data["variableAttribute"]}
        yield Reported(
            component["name"],
            place.get("id"),
            place.get("connectorId"),
            variable["name"],
            variable.get("instance", ""),
            data.get("variableCharacteristics", {}),
            attributes,
        )


def find(inventory: Sequence[Reported], row: RequiredVariable, *, evse: int | None = None) -> Reported | None:
    """The reported variable that fulfils `row` (at `evse`, for the EVSE and Connector rows)."""
    wanted = (row.component, row.variable, row.instance, evse)
    return next((v for v in inventory if (v.component, v.variable, v.instance, v.evse) == wanted), None)


def wrong_value(variable: Reported) -> str | None:
    """Why the actual value is not one of the variable's data type and valuesList; `None` if it is."""
    value = variable.value
    if value is None:
        return None
    if variable.data_type in LIST_TYPES:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        strange = [part for part in parts if part not in variable.allowed]
        return f"{strange[0]!r} is not in its valuesList" if strange else None
    return None if value == "" else _wrong_form(value, variable.data_type)


def _wrong_form(value: str, data_type: str) -> str | None:
    try:
        if data_type == "integer":
            int(value)
        elif data_type == "decimal":
            float(value)
        elif data_type == "dateTime":
            parse_utc(value)
        elif data_type == "boolean" and value not in ("true", "false"):
            raise ValueError
    except ValueError:
        return f"{value!r} is not a value of type {data_type}"
    return None
