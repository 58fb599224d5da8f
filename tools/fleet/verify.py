# SPDX-License-Identifier: Apache-2.0
"""Compares what the stations have had answered with what the bench CSMS has stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from firmware.errors import BaywattError
from tools.csms.client import Client
from tools.csms.store import Limits

__all__ = ["Bench", "bench_of", "compare"]

_LOOK_S = 5.0


@dataclass(frozen=True)
class Bench:
    """A bench CSMS: the address of its API, and its root certificates."""

    url: str
    root: str
    manufacturer_root: str


def bench_of(csms: str, given: str | None) -> Bench | None:
    """The bench CSMS whose page is at `given`; else that which answers where stations connect, if it is one.

    Raises `Unreachable` if nothing answers at `given`.
    """
    parts = urlsplit(csms)
    if given is None and parts.scheme != "ws":
        return None
    url = given or f"http://{parts.netloc}"
    try:
        about = Client(url, timeout_s=_LOOK_S).get("/api")
    except BaywattError:
        if given is not None:
            raise
        return None
    if not isinstance(about, dict) or not {"root", "manufacturer_root"} <= about.keys():
        return None
    return Bench(url, about["root"], about["manufacturer_root"])


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
