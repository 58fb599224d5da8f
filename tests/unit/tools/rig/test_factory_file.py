# SPDX-License-Identifier: Apache-2.0
"""A factory file for tests says what was asked for, in the words of `FactorySettings`."""

from __future__ import annotations

from pathlib import Path

from firmware.config import load
from firmware.factory_settings import FactorySettings, FactoryVariable, NetworkProfile, RigSettings
from tools.rig.factory_file import factory_file


def test_factory_file_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    variables = {
        ("TxCtrlr", "EVConnectionTimeOut"): "10",
        ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"): "3",
    }
    file.write_text(
        factory_file(
            "wss://csms.example/ocpp",
            identity="CP7",
            profile={"security_profile": 2, "message_timeout_s": 6},
            variables=variables,
            certificates={"csms_root": ["root.pem"]},
            rig={"speed": 60.0},
        )
    )
    settings = load(file, FactorySettings)
    assert (settings.identity, settings.basic_auth_password) == ("CP7", "0123456789abcdef")
    url = "wss://csms.example/ocpp"
    assert settings.network_profile == [NetworkProfile(slot=1, url=url, security_profile=2, message_timeout_s=6)]
    assert settings.variable == [
        FactoryVariable("TxCtrlr", "EVConnectionTimeOut", "10"),
        FactoryVariable("OCPPCommCtrlr", "MessageAttempts", "3", instance="TransactionEvent"),
    ]
    assert (settings.certificates.csms_root, settings.rig) == (["root.pem"], RigSettings(speed=60.0))
