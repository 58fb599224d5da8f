# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.config import load
from firmware.errors import ConfigError
from firmware.factory_settings import FactorySettings

STATION = """
identity = "CP001"
product = "full"
basic_auth_password = "0123456789abcdef"

[[network_profile]]
slot = 1
url = "wss://csms.example/ocpp"
security_profile = 2

[certificates]
csms_root = ["root.pem"]

[[variable]]
component = "TxCtrlr"
variable = "EVConnectionTimeOut"
value = "10"
mutability = "ReadWrite"

[commissioning]
port = 0

[rig]
speed = 60.0
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text)
    return path


def test_factory_settings(tmp_path: Path) -> None:
    settings = load(written(tmp_path, STATION), FactorySettings)
    assert settings.identity == "CP001"
    assert settings.network_profile[0].interface == "Wired0"
    assert settings.network_profile[0].message_timeout_s == 30
    assert settings.certificates.csms_root == ["root.pem"]
    assert settings.variable[0].mutability == "ReadWrite"
    assert settings.variable[0].evse is None
    assert settings.commissioning.port == 0
    assert settings.rig.speed == 60.0


def test_an_identity_is_enough(tmp_path: Path) -> None:
    settings = load(written(tmp_path, 'identity = "a"'), FactorySettings)
    assert settings.product == "c7am-400-cc"
    assert not settings.network_profile


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "identity"),
        ('identity = "a:b"', "identity"),
        (f'identity = "{"a" * 49}"', "identity"),
        ('identity = "a"\nnonsense = 1', "nonsense"),
        ('identity = "a"\n[rig]\nspeed = 0', "rig.speed"),
        ('identity = "a"\n[commissioning]\nport = 65536', "commissioning.port"),
        (
            'identity = "a"\n[[network_profile]]\nslot = 1\nurl = "http://x"',
            "network_profile 1, url: expected a ws:// or wss:// URL without user, query or",
        ),
        ('identity = "a"\n[[network_profile]]\nslot = 1\nurl = "ws://x?a=b"', "network_profile 1, url"),
        (
            'identity = "a"\n[[network_profile]]\nslot = 0\nurl = "ws://x"',
            "network_profile 1, slot: expected a whole number from 1 to 99, got 0",
        ),
        ('identity = "a"\n[[network_profile]]\nslot = 1\nurl = "ws://x"\nsecurity_profile = 4', "security_profile"),
        (
            'identity = "a"\n[[variable]]\ncomponent = "A"\nvariable = "B"\nvalue = 10',
            "variable 1, value: expected a text, got a whole number",
        ),
        ('identity = "a"\n[[variable]]\ncomponent = "A"\nvariable = "B"', "variable 1, value is missing"),
        ("identity = a", "not TOML: invalid value (at line 1, column 12)"),
    ],
)
def test_errors_name_the_file_and_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as problem:
        load(path, FactorySettings)
    assert str(path) in str(problem.value)
    assert words in str(problem.value)
