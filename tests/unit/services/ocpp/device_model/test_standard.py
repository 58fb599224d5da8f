# SPDX-License-Identifier: Apache-2.0
"""The standard's definitions, and the tool that generates them."""

from __future__ import annotations

import json
from pathlib import Path

from services.ocpp.device_model.build import standard
from services.ocpp.device_model.values import DataType
from tools.generate.device_model import CORRECTIONS, main

TABLE = """\ufeffSpecific Component;Variable;Instance;Required?;DataType;Unit;Description
<generic>;Power;;no;decimal;W, kW;words
ClockCtrlr;DateTime;;yes;dateTime;;words; and more words
DeviceDataCtrlr;ItemsPerMessage;GetReport;yes;integer;;"words"
ConnectedEV;ProtocolSupportedByEV;<Priority>;no;string;;words
SecurityCtrlr;Identity;;no;identifierString;;words
OCPPCommCtrlr;NetworkConfigurationPriority;;yes;string;;words
"""


def test_generated_definitions(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    main([str(tmp_path / "table.csv"), "--output", str(tmp_path / "standard.json")])
    rows = json.loads((tmp_path / "standard.json").read_text())
    assert ["*", "Power", "", False, "decimal", "W"] in rows
    assert ["ClockCtrlr", "DateTime", "", True, "dateTime", ""] in rows
    assert ["DeviceDataCtrlr", "ItemsPerMessage", "GetReport", True, "integer", ""] in rows
    assert ["ConnectedEV", "ProtocolSupportedByEV", "*", False, "string", ""] in rows
    assert ["SecurityCtrlr", "Identity", "", False, "string", ""] in rows
    assert ["OCPPCommCtrlr", "NetworkConfigurationPriority", "", True, "SequenceList", ""] in rows
    assert len(rows) == 5 + len(CORRECTIONS)
    assert "words" not in (tmp_path / "standard.json").read_text()


def test_definitions_in_use() -> None:
    definitions = standard()
    assert len(definitions) > 240
    assert definitions["OCPPCommCtrlr", "HeartbeatInterval", ""].unit == "s"
    assert definitions["TxCtrlr", "TxStartPoint", ""].data_type is DataType.MEMBER_LIST
    for each in CORRECTIONS:
        assert definitions[each.component, each.variable, each.instance].required == each.required
