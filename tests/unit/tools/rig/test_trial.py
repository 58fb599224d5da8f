# SPDX-License-Identifier: Apache-2.0
"""A version on trial fails by crashes or by time; a version in regular use never does."""

from __future__ import annotations

import asyncio

import pytest

from tools.rig import trial
from tools.rig.trial import CRASHES, Trial


class Bench:
    def __init__(self, *, on_trial: bool = True) -> None:
        self.failures = 0
        self.trial = Trial(lambda: on_trial, self._failed)

    def _failed(self) -> None:
        self.failures += 1

    def crash(self, times: int) -> None:
        for _ in range(times):
            self.trial.process_crashed()


async def test_a_version_on_trial_fails_after_some_crashes() -> None:
    bench = Bench()
    bench.trial.begin()
    bench.crash(CRASHES - 1)
    assert bench.failures == 0
    bench.crash(1)
    assert bench.failures == 1
    bench.trial.end()


async def test_each_boot_counts_anew() -> None:
    bench = Bench()
    for _ in range(3):
        bench.trial.begin()
        bench.crash(CRASHES - 1)
    assert bench.failures == 0
    bench.trial.end()


@pytest.mark.parametrize("on_trial", [True, False])
async def test_only_a_version_on_trial_fails_by_time(monkeypatch: pytest.MonkeyPatch, on_trial: bool) -> None:
    monkeypatch.setattr(trial, "TRIAL_S", 0.0)
    bench = Bench(on_trial=on_trial)
    bench.trial.begin()
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(0.0, passed.set_result, None)
    await passed
    assert bench.failures == on_trial


async def test_a_version_in_regular_use_may_crash() -> None:
    bench = Bench(on_trial=False)
    bench.trial.begin()
    bench.crash(10)
    assert bench.failures == 0
    bench.trial.end()
