# SPDX-License-Identifier: Apache-2.0
"""Every verb of the command line is one operation of the control socket."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from tools.rig.verbs import add_verbs


@pytest.mark.parametrize(
    ("line", "request_made"),
    [
        ("plug 1", ("plug_in", {"evse": 1})),
        ("plug 2 --soc 55", ("plug_in", {"evse": 2, "car": {"soc_percent": 55.0}})),
        ("unplug 1", ("plug_out", {"evse": 1, "force": False})),
        ("unplug 1 --force", ("plug_out", {"evse": 1, "force": True})),
        ("card 04A1", ("present_card", {"uid": "04A1"})),
        ("card 04A1 --evse 2", ("present_card", {"uid": "04A1", "evse": 2})),
        ("select 2", ("select_evse", {"evse": 2})),
        ("stop 2", ("press_stop", {"evse": 2})),
        ("fault door_open", ("fault", {"code": "door_open"})),
        ("clear meter --evse 1", ("clear_fault", {"code": "meter", "evse": 1})),
        ("network down", ("network", {"mode": "down"})),
        ("network up --interface Wired0", ("network", {"mode": "up", "interface": "Wired0"})),
        ("power off", ("power_off", {})),
        ("power cycle", ("power_cycle", {})),
        ("reboot", ("reboot", {})),
        ("kill hal", ("process", {"kill": "hal"})),
        ("state", ("state", {})),
        ("watch", ("subscribe", {})),
        ("log --ocpp --follow", ("state", {})),
        ('op {"op":"car","evse":1,"ready":false}', ("car", {"evse": 1, "ready": False})),
    ],
)
def test_verb_is_an_operation(line: str, request_made: tuple[str, dict[str, Any]]) -> None:
    parser = argparse.ArgumentParser()
    add_verbs(parser.add_subparsers(dest="verb"), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(line.split())
    assert args.request(args) == request_made
