# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware.errors import BaywattError
from tools.csms.client import Client
from tools.csms.server import running
from tools.csms.settings import Settings
from tools.fleet.rollout import update_request
from tools.fleet.verify import bench_of
from tools.image.build import next_version, read


async def test_the_bench_offers_its_newest_image_or_a_small_one_that_is_made(tmp_path: Path) -> None:
    files = tmp_path / "files"
    async with running(Settings(tmp_path / "csms.sqlite3", port=0, files=files)) as bench:
        client = Client(bench.url)
        request = await asyncio.to_thread(update_request, client, "c7am-400-cc")
        (image,) = files.glob("*.img")
        assert read(image)[0].version == next_version()
        assert image.stat().st_size < 10_000
        assert request["firmware"]["location"].endswith(image.name)
        assert {"signature", "signingCertificate", "retrieveDateTime", "installDateTime"} <= request["firmware"].keys()
        (files / "mine.img").write_bytes(b"newer")
        request = await asyncio.to_thread(update_request, client, "c7am-400-cc")
        assert request["firmware"]["location"].endswith("mine.img")


async def test_without_files_the_reason_is_said(tmp_path: Path) -> None:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0)) as bench:
        with pytest.raises(BaywattError, match="the bench CSMS was started without --files"):
            await asyncio.to_thread(update_request, Client(bench.url), "c7am-400-cc")


async def test_a_bench_csms_is_found_where_stations_connect(tmp_path: Path) -> None:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0)) as bench:
        found = await asyncio.to_thread(bench_of, bench.ocpp_url, None)
        assert found is not None
        assert found.root.startswith("-----BEGIN CERTIFICATE-----")
        named = await asyncio.to_thread(bench_of, "wss://127.0.0.1:1/ocpp", bench.url)
        assert named is not None
        assert named.root == found.root
    assert bench_of("wss://127.0.0.1:1/ocpp", None) is None
    assert bench_of(bench.ocpp_url, None) is None
    with pytest.raises(BaywattError):
        bench_of(bench.ocpp_url, bench.url)
