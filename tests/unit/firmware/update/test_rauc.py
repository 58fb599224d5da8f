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
    """As dbus-fast wraps values."""

    value: Any


@dataclass
class FakeRauc:
    """Slots A (booted) and B, and what was asked."""

    compatible: str = "CABINET"
    version: str = "1.0.1"
    result: int = 0
    good: dict[str, str] = field(default_factory=lambda: {"A": "good", "B": "good"})
    booted: str = "A"
    asked: list[tuple[str, ...]] = field(default_factory=list)
    handlers: list[Callable[[int], None]] = field(default_factory=list)

    async def call_inspect_bundle(self, bundle: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"update": Variant({"compatible": Variant(self.compatible), "version": Variant(self.version)})}

    async def call_install_bundle(self, source: str, args: dict[str, Any]) -> None:
        self.asked.append(("install", source))
        for handler in self.handlers:
            handler(self.result)

    async def call_mark(self, state: str, slot_identifier: str) -> Any:
        self.asked.append((state, slot_identifier))

    async def call_get_slot_status(self) -> list[Any]:
        return [
            ["rescue.0", {"class": Variant("rescue")}],
            *(
                [f"rootfs.{n}", {"bootname": Variant(name), "boot-status": Variant(self.good[name])}]
                for n, name in enumerate("AB")
            ),
        ]

    async def call_get_primary(self) -> str:
        return "rootfs.0"

    async def get_boot_slot(self) -> str:
        return self.booted

    async def get_last_error(self) -> str:
        return "signature verification failed"

    def on_completed(self, handler: Callable[[int], None]) -> None:
        self.handlers.append(handler)

    def off_completed(self, handler: Callable[[int], None]) -> None:
        self.handlers.remove(handler)


class Gone(FakeRauc):
    async def get_boot_slot(self) -> str:
        raise ConnectionResetError("bus gone")


def slots_of(rauc: FakeRauc) -> RaucSlots:
    async def connect() -> FakeRauc:
        return rauc

    return RaucSlots(connect)


async def install(rauc: FakeRauc, folder: Path, by: Proof | None = None) -> str:
    bundle = folder / "bundle"
    bundle.write_bytes(BUNDLE)
    rules: dict[str, Any] = {"family": "CABINET", "running": "1.0.0", "rollback": False}
    return await slots_of(rauc).install(bundle, by or proof(BUNDLE), **rules)


async def test_installs_into_the_other_slot(tmp_path: Path) -> None:
    rauc = FakeRauc()
    assert await install(rauc, tmp_path) == "B"
    assert rauc.asked == [("install", str(tmp_path / "bundle"))]
    assert rauc.handlers == []


async def test_rauc_hears_nothing_of_a_bundle_that_is_not_signed(tmp_path: Path) -> None:
    rauc = FakeRauc()
    with pytest.raises(ImageError):
        await install(rauc, tmp_path, proof(b"another bundle"))
    assert rauc.asked == []


@pytest.mark.parametrize(("field_name", "value"), [("compatible", "OTHER"), ("version", "0.9.0"), ("version", "?")])
async def test_rauc_installs_no_bundle_that_is_not_for_this_station(
    tmp_path: Path, field_name: str, value: str
) -> None:
    rauc = FakeRauc(**{field_name: value})  # type: ignore[arg-type]
    with pytest.raises(ImageError):
        await install(rauc, tmp_path)
    assert rauc.asked == []


async def test_failed_installation_says_why(tmp_path: Path) -> None:
    with pytest.raises(SlotError, match="signature verification failed"):
        await install(FakeRauc(result=1), tmp_path)


async def test_slot_is_activated_kept_and_given_up() -> None:
    rauc = FakeRauc()
    slots = slots_of(rauc)
    await slots.activate("B")
    await slots.keep()
    await slots.roll_back()
    assert rauc.asked == [("active", "rootfs.1"), ("good", "booted"), ("active", "other"), ("bad", "booted")]
    with pytest.raises(SlotError):
        await slots.activate("C")


async def test_status() -> None:
    assert await slots_of(FakeRauc()).status() == SlotStatus("A")
    trial = FakeRauc(booted="B", good={"A": "good", "B": "bad"})
    assert await slots_of(trial).status() == SlotStatus("B", trial=True)
    back = FakeRauc(good={"A": "good", "B": "bad"})
    assert await slots_of(back).status() == SlotStatus("A", failed="B")


async def test_bus_that_is_gone_is_the_boards_trouble() -> None:
    with pytest.raises(SlotError, match="bus gone"):
        await slots_of(Gone()).status()
