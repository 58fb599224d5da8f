# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.support.evse_bench import EvseBench


@pytest.fixture
def bench() -> EvseBench:
    return EvseBench()
