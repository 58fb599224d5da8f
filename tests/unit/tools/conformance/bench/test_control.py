# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tools.conformance.bench.control import Control, ControlError


async def test_the_control_socket_answers_between_events(control_socket: Path) -> None:
    control = await Control.connect(control_socket)
    assert (await control.op("state"))["ok"]
    with pytest.raises(ControlError, match="already has a car") as caught:
        await control.op("plug_in", evse=1)
    assert caught.value.code == "refused"
    await control.close()
