# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from firmware.config import convert
from firmware.errors import ConfigError
from services.ocpp.config import ServiceConfig


def test_defaults() -> None:
    config = convert({"log_level": "DEBUG"}, ServiceConfig, "test")
    assert config.log_level == "DEBUG"
    assert config.database == "/var/lib/baywatt/ocpp/station.db"
    with pytest.raises(ConfigError, match="test"):
        convert({"log_level": "debug"}, ServiceConfig, "test")
