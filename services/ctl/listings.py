# SPDX-License-Identifier: Apache-2.0
"""Devices, variables, certificates and the steps of a connection test as tables of less than 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from firmware.clock import format_utc
from firmware.contract.administration import CertificateInfo, ConnectionTest, Outcome, VariableInfo
from firmware.contract.messages import DeviceReport

__all__ = ["WIDTH", "address", "certificates", "connection_test", "devices", "variables"]

WIDTH = 99
_MARKS = {Outcome.OK: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "-"}


def devices(found: Sequence[DeviceReport]) -> str:
    """One line a device, and below it what is wrong or was wrong last."""
    rows = [["device", "serial number", "firmware", "state"]]
    notes: list[str] = [""]
    for each in found:
        state = each.state if each.answers else f"NO ANSWER: {each.state}"
        place = f"{each.place}, {each.name}" if each.name else each.place
        rows.append([place, each.serial_number, each.firmware, state])
        notes.append(_trouble(each))
    lines = _table(rows)
    return "\n".join(part for line, note in zip(lines, notes, strict=True) for part in (line, note) if part)


def _trouble(device: DeviceReport) -> str:
    if device.faults:
        return _cut(f"    FAULT {', '.join(fault.value for fault in device.faults)}: {device.last_trouble}", WIDTH)
    if not device.last_trouble or device.last_trouble_utc_s is None:
        return ""
    return _cut(f"    last trouble {format_utc(device.last_trouble_utc_s)}: {device.last_trouble}", WIDTH)


def address(variable: VariableInfo) -> str:
    """As `set` takes it: `EVSE@1.Power`, `DataLink[Wired0].Active`; other attributes than Actual at the end."""
    place = f"@{variable.evse}" if variable.evse else ""
    place += f".{variable.connector}" if variable.connector else ""
    instance = f"[{variable.component_instance}]" if variable.component_instance else ""
    name = f"{variable.component}{instance}{place}.{variable.variable}"
    return name + (f"[{variable.instance}]" if variable.instance else "")


def variables(found: Sequence[VariableInfo]) -> str:
    rows = [
        [
            address(each) + ("" if each.attribute == "Actual" else f" ({each.attribute})"),
            "***" if each.value is None else each.value,
            each.unit,
            {"ReadOnly": "", "WriteOnly": "write only", "ReadWrite": "settable"}[each.mutability],
        ]
        for each in found
    ]
    return "\n".join(_table(rows, wide=1))


def variable(found: VariableInfo) -> str:
    """One of them, with what it may be."""
    value = "***" if found.value is None else found.value
    lines = [f"{address(found)} = {value}{' ' + found.unit if found.unit and value else ''}"]
    if found.mutability != "ReadOnly":
        lines.append(f"expected: {found.expected}{'; counts from the next start' if found.reboot else ''}")
    return "\n".join(lines)


def certificates(found: Sequence[CertificateInfo]) -> str:
    if not found:
        return "no certificates"
    lines: list[str] = []
    for each in found:
        lines += [
            _cut(f"{each.use}, {each.state.replace('_', ' ')}: {each.subject}", WIDTH),
            _cut(f"    issued by {each.issuer}", WIDTH),
            f"    valid from {each.not_before} to {each.not_after}",
            f"    {each.fingerprint}",
        ]
    return "\n".join(lines)


def connection_test(test: ConnectionTest) -> str:
    lines: list[str] = []
    for step in test.steps:
        lines += _wrapped(f"{step.step.value:<12}{_MARKS[step.outcome]:<8}{step.text}")
        if step.remedy:
            lines += _wrapped(f"{'':<20}{step.remedy}")
    return "\n".join([*lines, *(_wrapped(test.note, indent=0) if test.note else ())])


def _wrapped(text: str, *, indent: int = 20) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, drop_whitespace=True) or [""]


def _table(rows: Sequence[Sequence[str]], *, wide: int = -1) -> list[str]:
    """Columns; the column `wide`, or else the last, is cut so that a line fits."""
    if not rows:
        return []
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in clean) for column in range(len(clean[0]))]
    wide %= len(widths)
    left = WIDTH - sum(width for column, width in enumerate(widths) if column != wide) - 2 * (len(widths) - 1)
    widths[wide] = max(10, min(widths[wide], left))
    return [
        _cut("  ".join(_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), WIDTH)
        for row in clean
    ]


def _printable(text: str) -> str:
    """What a device or the CSMS has sent must not move the cursor of a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _cut(text: str, width: int) -> str:
    text = _printable(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"
