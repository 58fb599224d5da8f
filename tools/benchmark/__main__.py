# SPDX-License-Identifier: Apache-2.0
"""`make benchmark`: how fast and how large the station is, beside a floor measured in the same run.

The station is a whole rig (HAL, OCPP service, simulated hardware) without the rig's simulated network; the floor is a
bare `websockets` client that answers canned text, the least that any station in Python costs. `--growth` measures how
the cost grows instead: with the backlog, the device model, the EVSEs, a month, reconnections, and an hour of a page.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from firmware.errors import BaywattError
from tools import interrupt
from tools.arguments import Parser
from tools.benchmark.floor_figures import measure_floor
from tools.benchmark.machine import load_per_core
from tools.benchmark.pages import load_figures, page_growth
from tools.benchmark.station_figures import measure_station
from tools.benchmark.table import as_json, lines

_BUSY = 0.5
_QUIET_WITHIN_S = 60.0
_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 1 if something could not be measured, 130 if interrupted."""
    parser = Parser(prog="make benchmark", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE, too")
    parser.add_argument("--growth", action="store_true", help="how the cost grows, instead (20 minutes and more)")
    arguments = parser.parse_args(argv)
    try:
        return interrupt.run(_grow(arguments.json) if arguments.growth else _measure(arguments.json))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (BaywattError, TimeoutError, OSError) as error:
        print(f"make benchmark: {error or 'a station did not answer in time'}", file=sys.stderr)
        return 1


async def _measure(file: Path | None) -> int:
    await _wait_for_quiet()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        floor = await _twice("the floor", lambda _attempt: measure_floor())
        station = await _twice("the station", lambda attempt: measure_station(Path(folder) / str(attempt)))
        station |= await _twice("the pages", lambda attempt: load_figures(Path(folder) / f"pages-{attempt}"))
    for line in lines(station, floor):
        print(line)
    _write(file, as_json(station, floor))
    return 0


async def _grow(file: Path | None) -> int:
    from tools.benchmark.growth import as_json, lines, measure

    await _wait_for_quiet()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows = await measure(Path(folder), _note)
        _note("measuring the status page")
        rows += await page_growth(Path(folder) / "page", _note)
    for line in lines(rows):
        print(line)
    _write(file, as_json(rows))
    return 0


def _write(file: Path | None, rows: object) -> None:
    if file is not None:
        file.write_text(json.dumps(rows, indent=1) + "\n")


async def _twice(what: str, measure: Callable[[int], Awaitable[_T]]) -> _T:
    """Measures again if something did not answer in time, as on a loaded machine; raises `TimeoutError` after that."""
    _note(f"measuring {what}")
    try:
        return await measure(1)
    except TimeoutError:
        _note(f"{what} did not answer in time; load per core {load_per_core():.1f}; once more")
    try:
        return await measure(2)
    except TimeoutError:
        raise TimeoutError(f"{what} did not answer in time, twice; load per core {load_per_core():.1f}") from None


async def _wait_for_quiet() -> None:
    """Up to a minute: beside other work every figure is too high."""
    if load_per_core() > _BUSY:
        _note(f"the machine is busy (load per core {load_per_core():.1f}); waiting up to {_QUIET_WITHIN_S:g} s")
        loop = asyncio.get_running_loop()
        until = loop.time() + _QUIET_WITHIN_S
        while load_per_core() > _BUSY and loop.time() < until:  # noqa: ASYNC110 - /proc tells nobody
            await asyncio.sleep(2)
    if load_per_core() > _BUSY:
        _note("still busy: read the figures as upper bounds")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
