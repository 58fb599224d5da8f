# SPDX-License-Identifier: Apache-2.0
"""The slow half of a firmware update, with a real file server and a real slot directory."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware import product
from firmware.update.simulated import SimulatedSlots, arrange
from firmware.update.slots import SlotStatus
from services.ocpp.firmware_update.workers import Download, FirmwareJobs, Signed, SlotWish
from services.ocpp.transfer import Rules
from services.ocpp.transfer.trust import Trust
from tests.support.firmware import image, signature
from tools.conformance.peer.files import FileServer
from tools.pki import Authority, server_context


class Works:
    """The workers of a station that runs 1.0.0."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manufacturer, root = Authority("manufacturer"), Authority("files")
        self.signer = self.manufacturer.firmware_signer()
        self.files = FileServer(folder / "files", server_context(root.server(), folder))
        self.slots = SimulatedSlots(folder / "slots")
        self.data = image()
        self.jobs = FirmwareJobs(
            folder / "images",
            self.slots,
            product.load("c7am-400-cc"),
            running="1.0.0",
            manufacturer_roots=lambda: self.roots,
            trust=Trust(lambda: [root.pem], utc=lambda: self.utc),
            rules=lambda: Rules(stall_s=5.0),
        )
        self.image = folder / "images" / "image"
        self.heard: list[str] = []
        self.roots = [self.manufacturer.pem]
        self.utc: float | None = None

    @property
    def signed(self) -> Signed:
        return Signed(signature(self.data, self.signer), self.signer.pem)

    async def run(self, kind: str, order: Any) -> tuple[str, Any]:
        return await self.jobs.workers()[f"firmware.{kind}"](order, lambda state, _detail: self.heard.append(state))

    async def fetch(self, name: str = "image") -> tuple[str, Any]:
        (self.folder / "files" / "image").write_bytes(self.data)
        return await self.run("download", Download(self.files.url(name), 0, 0.0))


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    works = Works(tmp_path)
    await works.files.start()
    yield works
    await works.files.stop()


async def test_from_the_server_into_a_slot(works: Works) -> None:
    assert await works.fetch() == ("done", None)
    assert works.image.read_bytes() == works.data
    assert works.image.parent.stat().st_mode & 0o077 == 0
    assert await works.run("verify", works.signed) == ("done", None)
    assert await works.run("install", works.signed) == ("done", "a")
    assert await works.run("slots", SlotWish("activate", "a")) == ("done", SlotStatus("factory"))
    assert works.slots.select() == works.folder / "slots" / "a"
    assert await works.run("slots", SlotWish("keep")) == ("done", SlotStatus("a"))
    assert await works.run("slots", SlotWish("clean")) == ("done", SlotStatus("a"))
    assert not works.image.exists()


async def test_file_that_is_not_there(works: Works) -> None:
    assert await works.fetch("nothing") == ("failed", "not_found")


async def test_server_that_nobody_vouches_for(works: Works, tmp_path: Path) -> None:
    stranger = FileServer(tmp_path / "files", server_context(Authority("stranger").server(), tmp_path))
    await stranger.start()
    assert await works.run("download", Download(stranger.url("image"), 0, 0.0)) == ("failed", "tls")
    await stranger.stop()


async def test_location_is_not_in_what_is_printed_of_an_order() -> None:
    assert "secret" not in repr(Download("ftp://user:secret@host/file", 0, 0.0))


async def test_signature_over_other_bytes(works: Works) -> None:
    await works.fetch()
    forged = Signed(signature(works.data + b"x", works.signer), works.signer.pem)
    assert (await works.run("verify", forged))[0] == "failed"
    assert (await works.run("verify", Signed("no base64!", works.signer.pem)))[0] == "failed"
    assert (await works.run("verify", Signed("", works.signer.pem)))[0] == "failed"


async def test_image_exchanged_after_it_was_verified(works: Works) -> None:
    await works.fetch()
    assert (await works.run("verify", works.signed))[0] == "done"
    works.image.write_bytes(image({"hal/__main__.py": b"evil"}))
    assert (await works.run("install", works.signed))[0] == "refused"
    assert not (works.folder / "slots" / "a").exists()


async def test_root_that_is_deleted_under_way(works: Works) -> None:
    """L01.FR.12: nothing is installed by grace of a manufacturer root that is gone."""
    await works.fetch()
    works.roots.clear()
    why = "the signing certificate comes from no installed manufacturer root"
    assert await works.run("verify", works.signed) == ("failed", why)
    assert await works.run("install", works.signed) == ("untrusted", why)
    assert not (works.folder / "slots" / "a").exists()


async def test_signer_that_expires_under_way(works: Works) -> None:
    """L01.FR.12: judged when the signature is; one that was good then is good for an installation much later."""
    await works.fetch()
    works.utc = time.time() + 100 * 366 * 86_400
    assert (await works.run("verify", works.signed))[0] == "failed"
    assert (await works.run("install", works.signed))[0] == "done"


async def test_image_that_became_a_link(works: Works, tmp_path: Path) -> None:
    await works.fetch()
    (tmp_path / "elsewhere").write_bytes(works.data)
    works.image.unlink()
    works.image.symlink_to(tmp_path / "elsewhere")
    assert (await works.run("verify", works.signed))[0] == "failed"
    assert (await works.run("install", works.signed))[0] == "failed"


async def test_image_that_is_gone(works: Works) -> None:
    assert (await works.run("verify", works.signed))[0] == "failed"
    assert (await works.run("install", works.signed))[0] == "failed"


@pytest.mark.parametrize(
    ("data", "verdict"), [(image(version="0.9.0"), "refused"), (image(family="OTHER"), "refused"), (b"zip", "refused")]
)
async def test_signed_image_that_is_not_for_this_station(works: Works, data: bytes, verdict: str) -> None:
    works.data = data
    await works.fetch()
    assert (await works.run("verify", works.signed))[0] == "done"
    assert (await works.run("install", works.signed))[0] == verdict


@pytest.mark.parametrize(("how", "verdict"), [("install_fails", "failed"), ("needs_reboot_first", "reboot")])
async def test_board_in_trouble(works: Works, how: str, verdict: str) -> None:
    await works.fetch()
    arrange(works.folder / "slots", how)
    assert (await works.run("install", works.signed))[0] == verdict
    assert ("begun" in works.heard) == (verdict != "reboot")


async def test_slot_that_is_not_there(works: Works) -> None:
    assert (await works.run("slots", SlotWish("activate", "b")))[0] == "failed"


def test_what_is_asked_at_once(works: Works) -> None:
    jobs = works.jobs
    assert jobs.signer_problem(works.signer.pem, None) is None
    assert jobs.signer_problem(Authority("stranger").firmware_signer().pem, None) is not None
    assert jobs.signer_problem("no certificate é", None) is not None
    assert jobs.location_problem("https://files.example/image") is None
    for location in ("file:///etc/passwd", "http://files.example/image", "gopher://x/", "", "https://h/../x"):
        assert jobs.location_problem(location) is not None, location
    assert json.dumps(jobs.location_problem("https://u:secret@169.254.169.254/\n")).count("secret") == 0
