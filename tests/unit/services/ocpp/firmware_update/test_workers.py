# SPDX-License-Identifier: Apache-2.0
"""The workers of a firmware update, with a real file server and a real slot directory."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware import product
from firmware.update.simulated import SimulatedSlots, arrange
from firmware.update.slots import SlotStatus
from services.ocpp.background import Failed, Order, Outcome, Progress
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    ImageRefused,
    Install,
    InstallBegun,
    Installed,
    RebootRequired,
    Signed,
    SignerUntrusted,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
)
from services.ocpp.firmware_update.workers import FirmwareWorkers
from services.ocpp.transfer import Remote, Rules, Transfers
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
        self.workers = FirmwareWorkers(
            folder / "images",
            self.slots,
            product.load("c7am-400-cc"),
            running="1.0.0",
            manufacturer_roots=lambda: self.roots,
            utc=lambda: self.utc,
            transfers=Transfers(Trust(lambda: [root.pem], utc=lambda: self.utc), lambda: Rules(stall_s=5.0)),
        )
        self.image = folder / "images" / "image"
        self.reports: list[Progress] = []
        self.roots = [self.manufacturer.pem]
        self.utc: float | None = None

    @property
    def signed(self) -> Signed:
        return Signed(signature(self.data, self.signer), self.signer.pem)

    async def run(self, order: Order) -> Outcome:
        return await self.workers.run(order, self.reports.append)

    async def fetch(self, name: str = "image") -> Outcome:
        (self.folder / "files" / "image").write_bytes(self.data)
        return await self.run(Download(Remote(self.files.url(name), 0, 0.0)))

    async def verify(self) -> Outcome:
        return await self.run(Verify(self.signed))

    async def install(self) -> Outcome:
        return await self.run(Install(self.signed))


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    works = Works(tmp_path)
    await works.files.start()
    yield works
    await works.files.stop()


async def test_from_the_server_into_a_slot(works: Works) -> None:
    assert await works.fetch() == Downloaded()
    assert works.image.read_bytes() == works.data
    assert works.image.parent.stat().st_mode & 0o077 == 0
    assert await works.verify() == Verified()
    assert await works.install() == Installed("a")
    assert await works.run(SlotRequest("activate", "a")) == SlotsAnswered(SlotStatus("factory"))
    assert works.slots.select() == works.folder / "slots" / "a"
    assert await works.run(SlotRequest("keep")) == SlotsAnswered(SlotStatus("a"))
    assert await works.run(SlotRequest("clean")) == SlotsAnswered(SlotStatus("a"))
    assert not works.image.exists()


async def test_missing_file(works: Works) -> None:
    assert await works.fetch("nothing") == Failed("not_found: HTTP 404")


async def test_untrusted_server(works: Works, tmp_path: Path) -> None:
    stranger = FileServer(tmp_path / "files", server_context(Authority("stranger").server(), tmp_path))
    await stranger.start()
    outcome = await works.run(Download(Remote(stranger.url("image"), 0, 0.0)))
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("tls: ")
    await stranger.stop()


async def test_location_is_not_in_the_text_of_an_order() -> None:
    assert "secret" not in repr(Download(Remote("ftp://user:secret@host/file", 0, 0.0)))


async def test_signature_over_other_bytes(works: Works) -> None:
    await works.fetch()
    forged = Signed(signature(works.data + b"x", works.signer), works.signer.pem)
    assert isinstance(await works.run(Verify(forged)), Failed)
    assert isinstance(await works.run(Verify(Signed("no base64!", works.signer.pem))), Failed)
    assert isinstance(await works.run(Verify(Signed("", works.signer.pem))), Failed)


async def test_image_replaced_after_it_was_verified(works: Works) -> None:
    await works.fetch()
    assert await works.verify() == Verified()
    works.image.write_bytes(image({"hal/__main__.py": b"evil"}))
    assert isinstance(await works.install(), ImageRefused)
    assert not (works.folder / "slots" / "a").exists()


async def test_root_that_is_deleted_during_the_update(works: Works) -> None:
    """L01.FR.12: nothing is installed for a signer whose manufacturer root was deleted."""
    await works.fetch()
    works.roots.clear()
    why = "the signing certificate comes from no installed manufacturer root"
    assert await works.verify() == Failed(why)
    assert await works.install() == SignerUntrusted(why)
    assert not (works.folder / "slots" / "a").exists()


async def test_signer_that_expires_during_the_update(works: Works) -> None:
    """L01.FR.12: checked with the signature; a signer who was valid then is valid for a much later installation."""
    await works.fetch()
    works.utc = time.time() + 100 * 366 * 86_400
    assert isinstance(await works.verify(), Failed)
    assert await works.install() == Installed("a")


async def test_image_replaced_by_a_link(works: Works, tmp_path: Path) -> None:
    await works.fetch()
    (tmp_path / "elsewhere").write_bytes(works.data)
    works.image.unlink()
    works.image.symlink_to(tmp_path / "elsewhere")
    assert isinstance(await works.verify(), Failed)
    assert isinstance(await works.install(), Failed)


async def test_image_that_is_missing(works: Works) -> None:
    assert isinstance(await works.verify(), Failed)
    assert isinstance(await works.install(), Failed)


@pytest.mark.parametrize("data", [image(version="0.9.0"), image(family="OTHER"), b"zip"])
async def test_signed_image_that_is_not_for_this_station(works: Works, data: bytes) -> None:
    works.data = data
    await works.fetch()
    assert await works.verify() == Verified()
    assert isinstance(await works.install(), ImageRefused)


@pytest.mark.parametrize(
    ("how", "outcome", "reports"),
    [("install_fails", Failed, [InstallBegun()]), ("needs_reboot_first", RebootRequired, [])],
)
async def test_board_that_fails(works: Works, how: str, outcome: type[Outcome], reports: list[Progress]) -> None:
    await works.fetch()
    arrange(works.folder / "slots", how)
    assert isinstance(await works.install(), outcome)
    assert works.reports == reports


async def test_empty_slot_can_not_be_activated(works: Works) -> None:
    assert isinstance(await works.run(SlotRequest("activate", "b")), Failed)


def test_checks_of_a_request(works: Works) -> None:
    workers = works.workers
    assert workers.signer_problem(works.signer.pem, None) is None
    assert workers.signer_problem(Authority("stranger").firmware_signer().pem, None) is not None
    assert workers.signer_problem("no certificate é", None) is not None
    assert workers.location_problem("https://files.example/image") is None
    for location in ("file:///etc/passwd", "http://files.example/image", "gopher://x/", "", "https://h/../x"):
        assert workers.location_problem(location) is not None, location
    assert json.dumps(workers.location_problem("https://u:secret@169.254.169.254/\n")).count("secret") == 0
