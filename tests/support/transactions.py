# SPDX-License-Identifier: Apache-2.0
"""What the tests of block E share."""

from __future__ import annotations

from pathlib import Path

from tests.support.station_bench import StationBench

__all__ = ["CARD", "full", "kinds", "refuse_token"]

CARD = "04A1B2C3D4E580"


def full(directory: Path, start: str | None = None, stop: str | None = None, **more: str) -> StationBench:
    """The product that has all start and stop points, with these and further TxCtrlr variables, up and accepted."""
    variables = {"TxStartPoint": start, "TxStopPoint": stop} | more
    bench = StationBench(
        directory,
        product_name="full",
        variables={("TxCtrlr", name): value for name, value in variables.items() if value is not None},
    )
    bench.up()
    return bench


def kinds(bench: StationBench) -> list[tuple[str, str]]:
    """(eventType, triggerReason) of every TransactionEvent."""
    return [(event["eventType"], event["triggerReason"]) for event in bench.events]


def refuse_token(bench: StationBench, status: str = "Blocked") -> None:
    """The CSMS accepts no idToken in a TransactionEvent."""
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": status}} if "idToken" in request else {}
    )
