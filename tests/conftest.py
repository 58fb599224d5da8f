# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests.

Property tests draw the same examples in every run, so that a failure can be repeated, and have no time limit per
example, as machines differ; `--hypothesis-profile=default` draws others.
"""

from __future__ import annotations

import logging
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
