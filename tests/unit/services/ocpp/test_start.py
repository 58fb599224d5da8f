# SPDX-License-Identifier: Apache-2.0
"""What the OCPP service loads at its start, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

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
