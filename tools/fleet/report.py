# SPDX-License-Identifier: Apache-2.0
"""The end of a run: `summary.json` completed by what the bench CSMS has stored, the page, the lines in the terminal."""

from __future__ import annotations

from pathlib import Path

import msgspec

from firmware.errors import BaywattError
from tools.fleet.page import page
from tools.fleet.summary import Summary, calls_table
from tools.fleet.verify import compare

__all__ = ["lines", "write_report"]

_MOST_LISTED = 10


def write_report(folder: Path, bench: str | None) -> bool:
    """Verify, write `summary.json` and `report.html`, print; returns whether nothing was lost or has failed."""
    file = folder / "summary.json"
    summary = msgspec.json.decode(file.read_bytes(), type=Summary)
    trouble = ""
    if bench is not None:
        answered = msgspec.json.decode((folder / "transactions.json").read_bytes(), type=dict[str, dict[str, int]])
        try:
            summary.verified = compare(bench, answered)
        except BaywattError as error:
            trouble = f"could not be compared with the CSMS: {error}"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
    (folder / "report.html").write_text(page(summary))
    print("\n" + "\n".join(lines(summary)))
    if trouble:
        print(trouble)
    print(f"\n{'Nothing was lost.' if summary.sound else 'NOT SOUND.'} Report: {folder / 'report.html'}", flush=True)
    return summary.sound and not trouble


def lines(summary: Summary) -> list[str]:
    """What the terminal shows."""
    found = [*calls_table(summary.calls).splitlines(), ""]
    found += [f"{count} x {what}" for what, count in list(summary.errors.items())[:_MOST_LISTED]]
    visits = ", ".join(f"{count} {what}" for what, count in sorted(summary.visits.items()))
    found.append(f"EV drivers: {visits or 'none came'}")
    found.append(
        f"transactions {summary.transactions}: events {summary.events_sent} sent, {summary.events_answered} answered, "
        f"{summary.events_repeated} repeated, {summary.lost} lost; {summary.not_ended} without an end"
    )
    if summary.verified:
        stored = ", ".join(f"{count} {what}" for what, count in summary.verified.items())
        found.append(f"stored by the bench CSMS: {stored}")
    if summary.rollout:
        found.append("UpdateFirmware: " + ", ".join(f"{count} {what}" for what, count in summary.rollout.items()))
        found.append("firmware: " + ", ".join(f"{count} with {what}" for what, count in summary.firmware.items()))
    slope = summary.memory_slope_mb_per_min
    rising = "" if slope is None else f", slope {slope:+.2f} MB/min"
    found.append(
        f"memory {summary.memory_mb:.0f} MB, {summary.memory_mb_per_station:.2f} MB a station{rising}; "
        f"CPU {summary.cpu_percent:.0f} % of a core"
    )
    failed = list(summary.failed.items())
    found += [f"{identity}: {why}" for identity, why in failed[:_MOST_LISTED]]
    if len(failed) > _MOST_LISTED:
        found.append(f"... and {len(failed) - _MOST_LISTED} more, in summary.json")
    if summary.missing:
        found.append(f"{summary.missing} stations of which no end was reported")
    if summary.left_over:
        found.append(f"{summary.left_over} messages were not answered before their stations were switched off")
    return found
