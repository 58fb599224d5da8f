# SPDX-License-Identifier: Apache-2.0
"""The bench's file servers, used by the station's own transfers and by hostile clients."""

from __future__ import annotations

import ftplib
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from firmware.clock import SystemClock
from firmware.update import signing
from services.ocpp.transfer import Remote, Rules, TransferError, Transfers
from services.ocpp.transfer.trust import Trust
from tools.csms.ca import BenchPki
from tools.csms.files import FileSide, open_files
from tools.csms.server import Running, running
from tools.csms.settings import Settings
from tools.csms.tls import server_context

IMAGE = b"image" * 50_000


@pytest.fixture
def pki(tmp_path: Path) -> BenchPki:
    return BenchPki(tmp_path / "pki", "127.0.0.1")


@pytest.fixture
async def side(tmp_path: Path, pki: BenchPki) -> AsyncIterator[FileSide]:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "firmware-1.2.0.img").write_bytes(IMAGE)
    (tmp_path / "secret").write_text("precious")
    (folder / "link").symlink_to(tmp_path / "secret")
    async with open_files(folder, server_context(pki.server)) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["https", "ftp"])
async def test_a_station_downloads_an_image_and_uploads_its_log(
    side: FileSide, pki: BenchPki, tmp_path: Path, scheme: str
) -> None:
    base: str = getattr(side, scheme)
    transfers = Transfers(Trust(lambda: [pki.root_pem], lambda: None), Rules)
    target = tmp_path / "image"
    await transfers.download(Remote(f"{base}firmware-1.2.0.img", 0, 0), target, limit_bytes=1_000_000)
    assert target.read_bytes() == IMAGE
    await transfers.upload(target, Remote(f"{base}logs/", 0, 0), name="CP001.tar.gz")
    assert (side.logs / "CP001.tar.gz").read_bytes() == IMAGE
    assert {entry.path for entry in side.entries()} == {"firmware-1.2.0.img", "logs/CP001.tar.gz"}
    with pytest.raises(TransferError):
        await transfers.upload(target, Remote(f"{base}nowhere/", 0, 0), name="CP001.tar.gz")


async def test_the_root_is_needed(side: FileSide, tmp_path: Path) -> None:
    transfers = Transfers(Trust(list, lambda: None), Rules)
    with pytest.raises(TransferError) as caught:
        await transfers.upload(tmp_path / "secret", Remote(f"{side.https}logs/", 0, 0), name="x")
    assert caught.value.kind == "tls"


async def test_a_form(side: FileSide, pki: BenchPki) -> None:
    form = aiohttp.FormData()
    form.add_field("uploadfile", b"content", filename="log.zip")
    async with _client(pki) as http, http.post(f"{side.https}logs", data=form) as response:
        assert response.status == 201
    assert (side.logs / "log.zip").read_bytes() == b"content"


@pytest.mark.parametrize("path", ["link", "..%2fsecret", "logs/..%2f..%2fsecret", ".hidden", "logs", "%00", "nothing"])
async def test_nothing_else_can_be_read(side: FileSide, pki: BenchPki, path: str) -> None:
    from yarl import URL

    async with _client(pki) as http, http.get(URL(side.https + path, encoded=True)) as response:
        assert response.status in (400, 404)


@pytest.mark.parametrize("name", ["..%2fevil", ".hidden", "a%00b", "%2fetc%2fx"])
async def test_nothing_else_can_be_written(side: FileSide, pki: BenchPki, name: str) -> None:
    from yarl import URL

    async with _client(pki) as http, http.put(URL(f"{side.https}logs/{name}", encoded=True), data=b"x") as response:
        assert response.status in (400, 404)
    async with _client(pki) as http, http.put(f"{side.https}firmware-1.2.0.img", data=b"x") as response:
        assert response.status == 405
    assert list(side.logs.iterdir()) == []


async def test_ftp_does_not_leave_the_folder_either(side: FileSide) -> None:
    import asyncio
    from urllib.parse import urlsplit

    def tries() -> list[str]:
        parts = urlsplit(side.ftp)
        answers = []
        with ftplib.FTP() as ftp:
            ftp.connect(parts.hostname or "", parts.port or 0)
            ftp.login("station", parts.password or "")
            for command in ("RETR link", "RETR ../secret", "CWD ..", "DELE firmware-1.2.0.img", "SIZE /../secret"):
                try:
                    ftp.sendcmd("TYPE I")
                    answers.append(ftp.sendcmd(command))
                except ftplib.error_perm as error:
                    answers.append(str(error)[:3])
            answers.append(ftp.pwd())
        return answers

    *refused, where = await asyncio.to_thread(tries)
    assert where == "/"
    assert [answer for answer in refused if not answer.startswith("5")] in ([], ['250 "/" is the current directory.'])
    assert (side.folder / "firmware-1.2.0.img").exists()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0, files=tmp_path / "files")) as found:
        yield found


async def test_the_api_lists_the_files(bench: Running, tmp_path: Path) -> None:
    (tmp_path / "files" / "logs" / "CP001.log").write_text("lines")
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{bench.url}api/files") as response:
            listed = await response.json()
        async with http.get(f"{bench.url}files/logs/CP001.log") as response:
            assert await response.text() == "lines"
            assert "attachment" in response.headers["Content-Disposition"]
    assert [entry["path"] for entry in listed["files"]] == ["logs/CP001.log"]
    assert listed["https"].startswith("https://127.0.0.1:")
    assert listed["folder"] == str(tmp_path / "files")


@pytest.mark.parametrize("over", ["https", "ftp"])
async def test_the_fields_of_an_update_are_filled_in(bench: Running, tmp_path: Path, over: str) -> None:
    (tmp_path / "files" / "firmware-1.2.0.img").write_bytes(IMAGE)
    query = {"file": "firmware-1.2.0.img", "over": over}
    async with aiohttp.ClientSession() as http, http.get(f"{bench.url}api/firmware", params=query) as response:
        fields = await response.json()
    assert bench.files is not None
    assert fields["location"] == getattr(bench.files, over) + "firmware-1.2.0.img"
    certificate = fields["signingCertificate"].encode()
    signing.check_signer(certificate, [bench.pki.manufacturer_root.read_bytes()], utc=SystemClock().utc())
    signature = signing.decode_signature(fields["signature"])
    signing.verify_digest(signing.load_certificate(certificate), signature, hashlib.sha256(IMAGE).digest())


@pytest.mark.parametrize(
    ("query", "status"), [("file=nothing.img", 404), ("file=../pki/server.pem", 404), ("file=x&over=tftp", 400)]
)
async def test_no_update_without_a_file(bench: Running, query: str, status: int) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{bench.url}api/firmware?{query}") as response:
        assert response.status == status


async def test_without_the_option_there_are_no_files(tmp_path: Path) -> None:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0)) as found, aiohttp.ClientSession() as http:
        async with http.get(f"{found.url}api/files") as response:
            assert (await response.json())["https"] is None
        for path in ("files/x", "api/firmware?file=x"):
            async with http.get(f"{found.url}{path}") as response:
                assert response.status == 404


def _client(pki: BenchPki) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cadata=pki.root_pem)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
