# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import ConfigError
from firmware.product import load

HARDWARE = """
[[hardware.evse]]
id = 1
max_power_w = 400_000
connector = [{ id = 1, type = "cTesla", min_voltage_v = 150, max_voltage_v = 1000, max_current_a = 500 }]
[[hardware.evse]]
id = 2
max_power_w = 400_000
connector = [{ id = 1, type = "cCCS1", min_voltage_v = 150, max_voltage_v = 1000, max_current_a = 500 }]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "product.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("features", "row", "words"),
    [
        ("auth_cache = true", "", "features.auth_cache: switched on, but the device model has no AuthCacheCtrlr.Avail"),
        (
            "",
            'component = "AuthCacheCtrlr"\nvariable = "Available"',
            "features.auth_cache: switched off, but the device model has AuthCacheCtrlr.Available",
        ),
        (
            'auth_cache_policies = ["LRU"]',
            "",
            "features.auth_cache_policies: switched on, but the device model has no AuthCacheCtrlr.Policy",
        ),
        (
            "certificate_signed_timeout = true",
            'component = "SecurityCtrlr"\nvariable = "CertSigningWaitMinimum"',
            "features.certificate_signed_timeout: switched on, but the device model has no SecurityCtrlr.CertSigning",
        ),
        (
            "",
            'component = "TxCtrlr"\nvariable = "TxStartPoint"\nvalues = ["Authorized", "EVConnected"]',
            "features.tx_start_points: Authorized; but the values of TxCtrlr.TxStartPoint: Authorized, EVConnected",
        ),
        (
            "tx_start_point_writable = false",
            "",
            "features.tx_start_point_writable: switched off, but TxCtrlr.TxStartPoint is ReadWrite",
        ),
        (
            "remote_start_without_authorize = false",
            "",
            "remote_start_without_authorize: off, but AuthCtrlr.AuthorizeRemoteStart is ReadWrite",
        ),
        (
            "keep_authorization_on_unplug = true",
            "",
            "keep_authorization_on_unplug: on, but TxCtrlr.StopTxOnEVSideDisconnect is ReadOnly",
        ),
        (
            "keep_authorization_on_unplug = true\nend_authorization_on_unplug = false",
            "",
            "features.end_authorization_on_unplug: switched off, keep_authorization_on_unplug: on, but TxCtrlr.StopTx",
        ),
    ],
)
def test_features_and_device_model_agree(tmp_path: Path, features: str, row: str, words: str) -> None:
    row = f"[[device_model.variables]]\n{row}" if row else ""
    path = written(tmp_path, f'extends = "c7am-400-cc"\n[features]\n{features}\n{row}')
    with pytest.raises(ConfigError) as problem:
        load(path)
    assert str(problem.value).startswith(f"{path}: ")
    assert words in str(problem.value)


def test_variable_with_one_possible_value(tmp_path: Path) -> None:
    """C-06: a variable with only one possible value is ReadOnly."""
    path = written(
        tmp_path,
        """
        extends = "c7am-400-cc"
        [features]
        keep_authorization_on_unplug = true
        end_authorization_on_unplug = false
        [[device_model.variables]]
        component = "TxCtrlr"
        variable = "StopTxOnEVSideDisconnect"
        value = "false"
        """,
    )
    rows = {f"{row.component}.{row.variable}": row for row in load(path).device_model.variables}
    assert rows["TxCtrlr.StopTxOnEVSideDisconnect"].value == "false"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("[limits]\nnetwork_slots = 2", "limits.network_slots: 1, 2; but the values of OCPPCommCtrlr.NetworkConfigura"),
        (
            '[hardware]\ninterfaces = ["Wired0"]',
            "interfaces: Wired0; but DataLink.Active is there for",
        ),
        (
            '[hardware]\ncommunication = ["Ethernet"]',
            "hardware.interfaces: Wired0, Wireless0; but hardware.communication: Ethernet",
        ),
        (HARDWARE.replace("cCCS1", "cCCS2"), "evse 2: connector 1 is a cCCS2, but Connector.ConnectorType says cCCS1"),
        (HARDWARE.replace("400_000", "350_000"), "evse 1: max_power_w is 350000, but the max of EVSE.Power is 400000"),
    ],
)
def test_hardware_and_variables_agree(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(written(tmp_path, f'extends = "c7am-400-cc"\n{change}\n'))
