# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.csms.faults import apply_events
from tools.csms.views import FaultRecord

T = "2026-11-23T12:00:00Z"


def _event(component: str = "PowerModule", code: str | None = "CX015", **more: Any) -> dict[str, Any]:
    event: dict[str, Any] = {"component": {"name": component, "evse": {"id": 2}}, "variable": {"name": "Problem"}}
    event |= {"actualValue": "true", "trigger": "Alerting", "timestamp": T}
    return event | ({} if code is None else {"techCode": code}) | more


FAULT = FaultRecord(2, "PowerModule", "CX015", None, T)


def test_two_faults_of_a_component_end_one_by_one() -> None:
    both = apply_events([], [_event(), _event(code="CX003", techInfo="hot")])
    assert both == [FAULT, FaultRecord(2, "PowerModule", "CX003", "hot", T)]
    assert apply_events(both, [_event(code="CX003", cleared=True)]) == [FAULT]


def test_a_fault_that_comes_again_is_one() -> None:
    assert apply_events([FAULT], [_event(techInfo="phase 2")]) == [FaultRecord(2, "PowerModule", "CX015", "phase 2", T)]


@pytest.mark.parametrize("end", [{"cleared": True}, {"actualValue": "false"}, {"actualValue": "False"}])
def test_without_a_code_all_faults_of_the_component_end(end: dict[str, Any]) -> None:
    assert apply_events([FAULT], [_event(code=None, **end)]) == []
    assert apply_events([FAULT], [_event("Other", None, **end)]) == [FAULT]


def test_what_is_no_fault() -> None:
    state = _event(variable={"name": "AvailabilityState"})
    delta = _event(variable={"name": "Temperature"}, trigger="Delta")
    assert apply_events([], [state, delta]) == []


def test_an_alert_of_another_variable_is_named() -> None:
    (fault,) = apply_events([], [_event(code=None, variable={"name": "Tilt"})])
    assert fault.component == "PowerModule Tilt"


def test_endless_faults_are_bounded() -> None:
    assert len(apply_events([], [_event(code=str(number)) for number in range(500)])) == 64
