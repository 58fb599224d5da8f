# SPDX-License-Identifier: Apache-2.0
"""The templates of requests that the page offers."""

from __future__ import annotations

from typing import Any

import pytest

from tools.csms.api import templates
from tools.ocppj import schemas

_FILLED = {
    "$request_id": 1,
    "$transaction": "t1",
    "$now": "2026-11-23T12:00:00Z",
    "$in_an_hour": "2026-11-23T13:00:00Z",
    "$ocpp": "ws://127.0.0.1:9000/ocpp",
}


def _fill(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _fill(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_fill(item) for item in value]
    return _FILLED.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("template", templates(), ids=lambda template: f"{template['action']} {template['title']}")
def test_every_template_may_be_sent_unchanged(template: dict[str, Any]) -> None:
    assert template["action"] in schemas.CSMS_ACTIONS
    assert schemas.check(template["action"], "Request", _fill(template["payload"])) is None


def test_there_is_a_template_for_every_request() -> None:
    assert {template["action"] for template in templates()} == schemas.CSMS_ACTIONS
