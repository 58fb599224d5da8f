# SPDX-License-Identifier: Apache-2.0
"""Compares what the stations have had answered with what the bench CSMS has stored."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from firmware.errors import BaywattError
from tools.csms.client import Client
from tools.csms.store import Limits

__all__ = ["bench_of", "compare"]

_LOOK_S = 5.0


def bench_of(csms: str) -> str | None:
    """The address of the API if a bench CSMS answers where stations connect; None for any other CSMS."""
    parts = urlsplit(csms)
    url = f"http://{parts.netloc}"
    if parts.scheme != "ws":
        return None
    try:
        about = Client(url, timeout_s=_LOOK_S).get("/api")
    except BaywattError:
        return None
    return url if isinstance(about, dict) and "behaviour" in about else None


def compare(bench: str, answered: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """How many transactions the bench has stored whole; with other events than were answered (`incomplete`); not at
    all (`missing`), or not any more (`forgotten`), where it has as many as it keeps. Raises what the client raises."""
    rows = Client(bench).get("/api/transactions")
    stored = {(row["station"], row["id"]): row for row in rows}
    absent = "forgotten" if len(rows) >= Limits().transactions else "missing"
    counts = {"whole": 0, "incomplete": 0, "missing": 0, "forgotten": 0}
    for station, transactions in answered.items():
        for transaction, events in transactions.items():
            row = stored.get((station, transaction))
            if row is None:
                counts[absent] += 1
            else:
                counts["whole" if row["events"] == events and row["seq_ok"] else "incomplete"] += 1
    return counts
