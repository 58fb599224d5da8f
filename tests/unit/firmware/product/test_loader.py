# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import ConfigError
from firmware.product import Product, VariableRow, load

ROW = 'extends = "c7am-400-cc"\n[[device_model.variables]]\ncomponent = "X"\nvariable = "Y"\n'
PLACE = f"variables {len(load('c7am-400-cc').device_model.variables) + 1}"
"""Of `ROW`: after those of the product that it extends."""


@pytest.fixture(params=["c7am-400-cc", "full"])
def product(request: pytest.FixtureRequest) -> Product:
    return load(request.param)


def rows(product: Product) -> dict[str, VariableRow]:
    """By `Component.Variable`; of several EVSEs or instances, the last."""
    return {f"{row.component}.{row.variable}": row for row in product.device_model.variables}


def test_the_certified_product() -> None:
    """Rows of the certificate that other parts rely on."""
    product = load("c7am-400-cc")
    assert (product.identity.model, product.identity.vendor_name) == ("C7AM-400-CC", "XCharge Group")
    assert [(evse.id, evse.connector[0].type) for evse in product.hardware.evse] == [(1, "cTesla"), (2, "cCCS1")]
    assert product.hardware.max_power_w == 400_000  # HFS-11
    assert product.features.tx_start_points == product.features.tx_stop_points == ["Authorized"]  # C-09, C-10
    assert not product.features.auth_cache  # C-49
    assert not product.features.reset_per_evse  # C-13
    assert product.features.queue_all_messages  # C-21
    assert product.features.security_profiles == [1, 2, 3]  # C-61
    assert len(product.features.trigger_messages) == 6  # C-29
    assert product.features.cipher_suites == [  # C-41
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ]
    assert (product.limits.heartbeat_min_s, product.limits.heartbeat_max_s) == (60, 120)  # ORS-11, ORS-12
    assert product.limits.file_transfer == ["HTTPS", "FTP"]  # ORS-24
    assert product.lab.evse_selected_before_authorization  # AQ-8


def test_references_are_resolved(product: Product) -> None:
    variables = rows(product)
    assert variables["OCPPCommCtrlr.WebSocketPingInterval"].value == "20"
    assert variables["OCPPCommCtrlr.WebSocketPingInterval"].max == 60
    assert variables["TxCtrlr.TxStartPoint"].values == product.features.tx_start_points
    assert variables["OCPPCommCtrlr.FileTransferProtocols"].value == "HTTPS,FTP"
    assert variables["EVSE.AllowReset"].value == ("true" if product.features.reset_per_evse else "false")
    assert not any(row.value.startswith("@") for row in product.device_model.variables)


def test_full_is_the_same_station_with_more() -> None:
    base, full = load("c7am-400-cc"), load("full")
    assert full.hardware == base.hardware
    assert set(rows(base)) < set(rows(full))
    assert rows(full)["TxCtrlr.StopTxOnEVSideDisconnect"].mutability == "ReadWrite"
    assert len(full.device_model.variables) == len({str(row) for row in full.device_model.variables})


def written(tmp_path: Path, text: str, name: str = "product.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_with_few_changes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        extends = "c7am-400-cc"
        [limits]
        heartbeat_max_s = 90
        [[device_model.variables]]
        component = "TxCtrlr"
        variable = "EVConnectionTimeOut"
        value = "10"
        """,
    )
    product = load(path)
    assert rows(product)["OCPPCommCtrlr.HeartbeatInterval"].max == 90
    assert rows(product)["TxCtrlr.EVConnectionTimeOut"].value == "10"
    assert rows(product)["TxCtrlr.EVConnectionTimeOut"].mutability == "ReadWrite", "the rest of the row stays"


def test_extending_a_file_beside(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "full"\n[identity]\nmodel = "Base"\n', "base.toml")
    assert load(written(tmp_path, 'extends = "base.toml"\n')).identity.model == "Base"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "c7am-400-cc"\nnonsense = 1', "nonsense"),
        ('extends = "c7am-400-cc"\n[features]\nnonsense = true', "nonsense"),
        ('extends = "c7am-400-cc"\n[features]\nauth_cache = "yes"', "auth_cache"),
        ('extends = "c7am-400-cc"\n[limits]\nnetwork_slots = 1', "network_slots"),  # B09.FR.06
        ('extends = "c7am-400-cc"\n[features]\nremote_start_tokens = []', "remote_start_tokens"),  # C-36 to C-39
        ('extends = "c7am-400-cc"\n[features]\ntrigger_messages = ["Heartbeat"]', "trigger_messages"),  # C-29
        ('extends = "nothing"', "no such product file"),
        ('extends = "product.toml"', "without a circle"),
        ("[identity]", "device_model"),
        ("x = ", "not TOML: invalid value (at end of document)"),
        (
            'extends = "c7am-400-cc"\n[[device_model.variables]]\ncomponent = "X"\nvariable = "Y"\nvalue = "@limits.z"',
            "@limits.z refers to nothing",
        ),
        (
            'extends = "c7am-400-cc"\n[[device_model.variables]]\ncomponent = "X"\nvariable = "Y"\nevse = 3',
            "X.Y: there is no EVSE 3",
        ),
        (
            'extends = "c7am-400-cc"\n[[device_model.variables]]\ncomponent = "X"\nvariable = "Y"\nconnector = 1',
            "X.Y: a connector without an EVSE",
        ),
        (
            'extends = "c7am-400-cc"\n[[device_model.variables]]\ncomponent = "X"\nvariable = "Y"\nmutability = "Any"',
            "mutability",
        ),
        ('extends = "c7am-400-cc"\n[device_model]\nvariables = 3', "device_model: expected a table with a list"),
        ('extends = "c7am-400-cc"\n[device_model]\nvariables = [3]', "device_model: expected a table with a list"),
        ("[device_model]\nvariables = [[1]]", "device_model: expected a table with a list"),
        (ROW + "min = inf", "X.Y: min and max must be finite"),
        (ROW + "max = nan", "X.Y: min and max must be finite"),
        (ROW + "min = 3\nmax = 2", "X.Y: min is above max"),
        (ROW + 'values = ["a,b"]', "X.Y: values: no commas"),
        (ROW + f'values = ["{"v" * 1001}"]', "X.Y: values: no commas, and at most 1000 characters in all"),
        (ROW + f'unit = "{"u" * 17}"', f"{PLACE}, unit: expected a text of at most 16 characters, got a text of 17"),
        (ROW.replace("X", "X" * 51), f"{PLACE}, component"),
        (ROW.replace("Y", ""), f"{PLACE}, variable: expected a text of 1 to 50 characters, got an empty text"),
        (ROW.replace('"X"', '"txCtrlr"').replace("Y", "txStartPoint"), "txCtrlr.txStartPoint: listed twice"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as problem:
        load(path)
    assert words in str(problem.value)
    assert "product" in str(problem.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="c7am-400-cc, full"):
        load("c8")
