# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging

import pytest

from drivers.background import Background
from tests.support.sockets import eventually


async def test_a_loop_that_fails_is_started_again_and_logged_once_per_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reasons = ["no answer", "no answer", "garbage"]
    ended = asyncio.Event()

    async def poll() -> None:
        if reasons:
            raise ValueError(reasons.pop(0))
        ended.set()

    background = Background("meter 1")
    with caplog.at_level(logging.ERROR):
        background.start("poll", poll, restart_s=0.001)
        await ended.wait()
    assert [record.exc_info[1].args[0] for record in caplog.records if record.exc_info and record.exc_info[1]] == [
        "no answer",
        "garbage",
    ]
    background.close()


async def test_a_closed_driver_runs_nothing() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def poll() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    background = Background("meter 1")
    background.start("poll", poll)
    await started.wait()
    background.close()
    await eventually(cancelled.is_set)
