# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.config import load
from firmware.factory_settings import FactorySettings
from tools.conformance.bench.preconditions import BASE_VARIABLES, Preconditions, VariableRef, factory_toml, variable_ref


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("TxCtrlr.TxStartPoint", VariableRef("TxCtrlr", "TxStartPoint")),
        ("A.B[i]", VariableRef("A", "B", "i")),
        ("A[c].B", VariableRef("A", "B", component_instance="c")),
        ("EVSE@1.Power", VariableRef("EVSE", "Power", evse=1)),
        ("Connector@2/1.Available", VariableRef("Connector", "Available", evse=2, connector=1)),
    ],
)
def test_variables_are_written_in_one_line(text: str, ref: VariableRef) -> None:
    assert variable_ref(text) == ref


def test_a_variable_names_itself_in_a_message() -> None:
    assert variable_ref("Connector@2/1.Available").payload() == {
        "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
        "variable": {"name": "Available"},
    }
    assert variable_ref("A[c].B[i]").payload()["variable"] == {"name": "B", "instance": "i"}


def test_the_factory_file_is_one_that_the_station_reads(tmp_path: Path) -> None:
    name = "OCPPCommCtrlr.MessageAttempts[TransactionEvent]"
    preconditions = Preconditions(variables={name: "2"}, mutability={name: "ReadOnly"}, security_profile=2, speed=3.0)
    text = factory_toml(
        preconditions,
        identity="CP001",
        product="c7am-400-cc",
        password="0123456789abcdef",
        url="wss://localhost:9000/ocpp",
        certificates={"csms_root": ["root.pem"], "station_chain": "chain.pem"},
    )
    (tmp_path / "station.toml").write_text(text)
    settings = load(tmp_path / "station.toml", FactorySettings)
    assert settings.network_profile[0].security_profile == 2
    assert settings.certificates.csms_root == ["root.pem"]
    assert settings.rig.speed == 3.0
    assert len(settings.variable) == len(BASE_VARIABLES) + 1
    last = settings.variable[-1]
    assert (last.component, last.instance, last.value, last.mutability) == (
        "OCPPCommCtrlr",
        "TransactionEvent",
        "2",
        "ReadOnly",
    )
