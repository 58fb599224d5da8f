# SPDX-License-Identifier: Apache-2.0
"""The OCPP service with a port for Prometheus: it is on the loopback, and only where the settings name it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path

import pytest

from tests.support.prometheus import parse

pytestmark = pytest.mark.slow


async def scrape(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return body if " 200 " in head else ""


async def test_a_service_without_hal_and_csms_counts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "station.toml").write_text('identity = "CP1"\n')
    config = tmp_path / "ocpp.toml"
    config.write_text(
        f'factory = "station.toml"\ndatabase = "data/station.db"\ncertificates = "data/certificates"\n'
        f'hal_socket = "hal.sock"\nstatus_socket = "status.sock"\n'
        f'administration_socket = "administration.sock"\nmetrics_port = {port}\n'
    )
    (tmp_path / "data").mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ocpp",
        "--config",
        str(config),
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd())},
    )
    try:
        body = ""
        async with asyncio.timeout(60):
            while not body:
                with contextlib.suppress(OSError):
                    body = await scrape(port)
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        assert await process.wait() == 0
    values = parse(body)
    assert values["baywatt_hal_present"] == values["baywatt_csms_connected"] == 0.0
    assert [values[f'baywatt_evse_seconds_total{{evse="{evse}",state="up"}}'] for evse in (1, 2)] == [0.0, 0.0]
