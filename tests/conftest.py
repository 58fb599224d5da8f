# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests.

Property tests draw the same examples in every run, so that a failure can be repeated, and have no time limit per
example, as machines differ; `--hypothesis-profile=default` draws others.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A program under test sets up the log of its process, which here is that of all tests after it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests of whole stations over a run of several workers.

    They wait more than they compute, and those with wire simulators are real-time: side by side at the end of a run
    they starve one another; each between tests that only compute, they cost little. The other tests stay with their
    module, whose fixtures they may share. Every worker must come to the same order.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    stations = sorted((item for item in items if _is_station(item)), key=lambda item: zlib.crc32(item.nodeid.encode()))
    others = [item for item in items if not _is_station(item)]
    place = {item.nodeid: index / len(stations) for index, item in enumerate(stations)}
    first: dict[str, float] = {}
    for index, item in enumerate(others):
        place[item.nodeid] = first.setdefault(str(item.path), index / len(others))
    items.sort(key=lambda item: place[item.nodeid])


def _is_station(item: pytest.Item) -> bool:
    return item.path.parent.name in ("scenario", "conformance")
