# SPDX-License-Identifier: Apache-2.0
"""What the OCPP service loads at its start, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = (
    "aiohttp",
    "argparse",
    "cryptography",
    "email",
    "importlib.metadata",
    "jsonschema_rs",
    "services.ocpp.administration.connection_test",
    "services.ocpp.metrics",
    "tarfile",
    "urllib.request",
    "zipfile",
    "zoneinfo",
)


def printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_what_a_start_does_not_need_is_not_loaded() -> None:
    loaded = printed("import services.ocpp.process, sys; print(*sys.modules)").split()
    assert "websockets.client" in loaded
    assert not set(LATER) & set(loaded)


def test_websockets_and_package_metadata_work_as_usual_afterwards() -> None:
    code = "import services.ocpp.csms, websockets, importlib.metadata as real;"
    assert printed(code + "print(websockets.__version__ == real.version('websockets'))") == "True"


@pytest.mark.parametrize("first", ["importlib.metadata", "websockets"])
def test_what_is_loaded_already_stays(first: str) -> None:
    code = f"import sys, {first} as module; import services.ocpp.csms; print(sys.modules['{first}'] is module)"
    assert printed(code) == "True"
