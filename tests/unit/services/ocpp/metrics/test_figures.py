# SPDX-License-Identifier: Apache-2.0
"""What is counted, and that it is Prometheus' text format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.contract import Fault, OutOfService
from services.ocpp.hal_view import HalView
from services.ocpp.metrics import Figures
from tests.support.prometheus import parse
from tests.support.service_status import IDLE_EVSE, STATUS

BOTH = replace(STATUS, evses=[IDLE_EVSE, replace(IDLE_EVSE, evse=2, transaction_id="t")])
PAGE = Path("docs/metrics.md")


@pytest.fixture
def hal() -> HalView:
    view = HalView([(1, 1), (2, 1)])
    view.present = True
    return view


def seconds(text: str, evse: int) -> dict[str, float]:
    values = parse(text)
    return {state: values[f'baywatt_evse_seconds_total{{evse="{evse}",state="{state}"}}'] for state in STATES}


STATES = ("up", "down", "excluded")


def test_each_moment_counts_once(hal: HalView) -> None:
    figures = Figures()
    figures.observe(hal, 100.0)
    hal.evses[1].faults.add(Fault.ISOLATION)
    figures.observe(hal, 160.0)
    hal.evses[1].faults.clear()
    figures.observe(hal, 170.0)
    hal.evses[1].out_of_service = OutOfService.OPERATOR
    figures.observe(hal, 171.0)
    text = figures.text(BOTH, hal, 200.0)
    assert seconds(text, 1) == {"up": 61.0, "down": 10.0, "excluded": 29.0}
    assert seconds(text, 2) == {"up": 100.0, "down": 0.0, "excluded": 0.0}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.EMERGENCY_STOP, "down"),
        (Fault.POWER_LOSS, "excluded"),
        (Fault.MODULES_DERATED, "up"),
        (Fault.CARD_READER, "up"),
    ],
)
def test_faults_of_the_station_concern_each_evse(hal: HalView, fault: Fault, state: str) -> None:
    figures = Figures()
    hal.station_faults.add(fault)
    figures.observe(hal, 0.0)
    text = figures.text(BOTH, hal, 5.0)
    assert [seconds(text, evse)[state] for evse in (1, 2)] == [5.0, 5.0]


def test_an_evse_without_a_hal_is_down_and_one_that_the_operator_closed_is_not(hal: HalView) -> None:
    figures = Figures()
    hal.present, hal.evses[2].out_of_service = False, OutOfService.OPERATOR
    figures.observe(hal, 0.0)
    text = figures.text(BOTH, hal, 5.0)
    assert (seconds(text, 1)["down"], seconds(text, 2)["excluded"]) == (5.0, 5.0)
    assert parse(text)["baywatt_hal_present"] == 0.0


def test_a_fault_is_counted_when_it_comes(hal: HalView) -> None:
    figures = Figures()
    for faults in (set(), {Fault.METER}, {Fault.METER}, set(), {Fault.METER}, set()):
        hal.evses[2].faults = faults
        figures.observe(hal, 0.0)
    hal.station_faults = {Fault.DOOR_OPEN}
    values = parse(figures.text(BOTH, hal, 0.0))
    assert values['baywatt_faults_total{evse="2",fault="meter"}'] == 2.0
    assert values['baywatt_fault_active{evse="2",fault="meter"}'] == 0.0
    assert values['baywatt_fault_active{evse="station",fault="door_open"}'] == 1.0


def test_sessions_queue_links_and_contact(hal: HalView) -> None:
    figures = Figures()
    hal.links = {"Wired0": True, "Wireless0": False}
    figures.session_began(2)
    values = parse(figures.text(replace(BOTH, queued_messages=7, last_contact_mono_s=40.0), hal, 42.5))
    assert values['baywatt_info{version="1.0.0"}'] == 1.0
    assert [values[f'baywatt_sessions_total{{evse="{evse}"}}'] for evse in (1, 2)] == [0.0, 1.0]
    assert [values[f'baywatt_session_running{{evse="{evse}"}}'] for evse in (1, 2)] == [0.0, 1.0]
    assert values["baywatt_queued_messages"] == 7.0
    assert (values["baywatt_csms_connected"], values["baywatt_csms_accepted"]) == (1.0, 1.0)
    assert values["baywatt_csms_last_contact_age_seconds"] == 2.5
    assert values['baywatt_link_up{interface="Wireless0"}'] == 0.0
    offline = parse(figures.text(replace(BOTH, connected=False), hal, 42.5))
    assert (offline["baywatt_csms_connected"], offline["baywatt_csms_accepted"]) == (0.0, 0.0)
    assert "baywatt_csms_last_contact_age_seconds" not in offline


def test_a_label_can_not_end_its_line(hal: HalView) -> None:
    values = parse(Figures().text(replace(BOTH, firmware_version='1"}\n\\'), hal, 0.0))
    assert values['baywatt_info{version="1\\"}\\n\\\\"}'] == 1.0


def test_the_page_has_every_figure_and_no_other(hal: HalView) -> None:
    named = set(re.findall(r"^\| `(baywatt_\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == set(re.findall(r"^# TYPE (\w+)", Figures().text(BOTH, hal, 0.0), re.MULTILINE))
