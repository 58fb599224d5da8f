# SPDX-License-Identifier: Apache-2.0
"""The RAUC back-end against a stand-in for RAUC's D-Bus object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firmware.errors import ImageError
from firmware.update.rauc import RaucSlots
from firmware.update.slots import Proof, SlotError, SlotStatus
from tests.support.firmware import proof

BUNDLE = b"a bundle"


@dataclass
class Variant:
    """A value as dbus-fast wraps it."""

    value: Any
    signature: str = "v"


@dataclass
class FakeRauc:
    """Slots A (booted) and B, and the calls that were made; the methods of RAUC 1.8, which Debian 12 has."""

    compatible: str = "CABINET@cm4"
    version: str = "1.0.1"
    result: int = 0
    good: dict[str, str] = field(default_factory=lambda: {"A": "good", "B": "good"})
    booted: str = "A"
    activated: str = ""
    """When B was activated; it was installed at noon."""
    asked: list[tuple[str, ...]] = field(default_factory=list)
    handlers: list[Callable[[int], None]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    """The operations that it reports, one for each query, before it is idle."""
    board: str = "CABINET@cm4"

    async def call_info(self, bundle: str) -> list[str]:
        return [self.compatible, self.version]

    async def call_install_bundle(self, source: str, args: dict[str, Any]) -> None:
        self.asked.append(("install", source))
        for handler in self.handlers:
            handler(self.result)

    async def call_mark(self, state: str, slot_identifier: str) -> Any:
        self.asked.append((state, slot_identifier))

    async def call_get_slot_status(self) -> list[Any]:
        return [["rescue.0", {"class": Variant("rescue")}], *([f"rootfs.{n}", self._slot("AB"[n])] for n in (0, 1))]

    def _slot(self, name: str) -> dict[str, Variant]:
        fields = {
            "bootname": name,
            "state": "booted" if name == self.booted else "inactive",
            "boot-status": self.good[name],
        }
        if name == "B":
            fields["installed.timestamp"] = "2026-11-24T12:00:00Z"
            fields |= {"activated.timestamp": self.activated} if self.activated else {}
        return {key: Variant(value) for key, value in fields.items()}

    async def get_compatible(self) -> str:
        return self.board

    async def get_operation(self) -> str:
        return self.operations.pop(0) if self.operations else "idle"

    async def get_last_error(self) -> str:
        return "signature verification failed"

    def on_completed(self, handler: Callable[[int], None]) -> None:
        self.handlers.append(handler)

    def off_completed(self, handler: Callable[[int], None]) -> None:
        self.handlers.remove(handler)


class NewerRauc(FakeRauc):
    """With `InspectBundle`, which replaces `Info`."""

    async def call_info(self, bundle: str) -> list[str]:
        raise AssertionError("deprecated")

    async def call_inspect_bundle(self, bundle: str, args: dict[str, Any]) -> dict[str, Any]:
        update = {"compatible": Variant(self.compatible), "version": Variant(self.version)}
        return {"update": Variant(Variant(update))}


either_version = pytest.mark.parametrize("release", [FakeRauc, NewerRauc], ids=["1.8", "newer"])


class Gone(FakeRauc):
    async def call_get_slot_status(self) -> list[Any]:
        raise ConnectionResetError("bus gone")


class Silent(FakeRauc):
    async def call_install_bundle(self, source: str, args: dict[str, Any]) -> None:
        """It begins and never reports its end."""


def slots_of(rauc: FakeRauc) -> RaucSlots:
    async def connect() -> FakeRauc:
        return rauc

    return RaucSlots(connect)


async def install(rauc: FakeRauc, folder: Path, by: Proof | None = None) -> str:
    bundle = folder / "bundle"
    bundle.write_bytes(BUNDLE)
    rules: dict[str, Any] = {"family": "CABINET", "running": "1.0.0", "rollback": False}
    return await slots_of(rauc).install(bundle, by or proof(BUNDLE), **rules)


@either_version
async def test_installs_into_the_other_slot(tmp_path: Path, release: type[FakeRauc]) -> None:
    rauc = release()
    assert await install(rauc, tmp_path) == "B"
    assert rauc.asked == [("install", str(tmp_path / "bundle"))]
    assert rauc.handlers == []


async def test_rauc_does_not_get_an_unsigned_bundle(tmp_path: Path) -> None:
    rauc = FakeRauc()
    with pytest.raises(ImageError):
        await install(rauc, tmp_path, proof(b"another bundle"))
    assert rauc.asked == []


@either_version
@pytest.mark.parametrize(
    ("field_name", "value"),
    [("compatible", "OTHER@cm4"), ("compatible", "CABINET@pc"), ("version", "0.9.0"), ("version", "?")],
)
async def test_rauc_installs_no_bundle_that_is_not_for_this_station(
    tmp_path: Path, field_name: str, value: str, release: type[FakeRauc]
) -> None:
    rauc = release(**{field_name: value})  # type: ignore[arg-type]
    with pytest.raises(ImageError):
        await install(rauc, tmp_path)
    assert rauc.asked == []


async def test_a_board_of_another_product_installs_nothing(tmp_path: Path) -> None:
    rauc = FakeRauc(board="OTHER@cm4", compatible="OTHER@cm4")
    with pytest.raises(SlotError, match="set up for OTHER@cm4"):
        await install(rauc, tmp_path)
    assert rauc.asked == []


async def test_failed_installation_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(SlotError, match="signature verification failed"):
        await install(FakeRauc(result=1), tmp_path)


async def test_installation_that_still_runs_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before the service was restarted."""
    monkeypatch.setattr("firmware.update.rauc._POLL_S", 0.0)
    rauc = FakeRauc(operations=["installing", "installing"])
    assert await install(rauc, tmp_path) == "B"
    assert rauc.operations == []


async def test_rauc_that_never_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.update.rauc._INSTALL_LIMIT_S", 0.05)
    rauc = Silent()
    with pytest.raises(SlotError, match=r"within 0\.05 s"):
        await install(rauc, tmp_path)
    assert rauc.handlers == []


async def test_slot_is_activated_kept_and_rolled_back() -> None:
    rauc = FakeRauc()
    slots = slots_of(rauc)
    await slots.activate("B")
    await slots.keep()
    await slots.roll_back()
    assert rauc.asked == [("active", "rootfs.1"), ("good", "booted"), ("active", "other"), ("bad", "booted")]
    with pytest.raises(SlotError):
        await slots.activate("C")


async def test_slot_that_runs_is_on_trial_until_it_was_kept() -> None:
    """Boot loaders count every boot down, and RAUC does not report whether that was stopped in this one."""
    slots = slots_of(FakeRauc(booted="B"))
    assert await slots.status() == SlotStatus("B", trial=True)
    await slots.keep()
    assert await slots.status() == SlotStatus("B")


@pytest.mark.parametrize(
    ("activated", "failed"), [("", ""), ("2026-11-24T11:00:00Z", ""), ("2026-11-24T12:01:00Z", "B")]
)
async def test_only_a_slot_that_was_to_be_booted_can_have_failed(activated: str, failed: str) -> None:
    """RAUC calls a slot bad from the installation to the activation, too."""
    rauc = FakeRauc(good={"A": "good", "B": "bad"}, activated=activated)
    assert (await slots_of(rauc).status()).failed == failed


async def test_unknown_slot_that_runs_is_the_boards_trouble() -> None:
    with pytest.raises(SlotError, match="which slot"):
        await slots_of(FakeRauc(booted="external")).status()


async def test_lost_bus_is_connected_again() -> None:
    buses = [Gone(), FakeRauc()]

    async def connect() -> FakeRauc:
        return buses.pop(0)

    slots = RaucSlots(connect)
    with pytest.raises(SlotError, match="bus gone"):
        await slots.status()
    assert (await slots.status()).running == "A"
