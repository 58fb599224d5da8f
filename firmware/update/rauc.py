# SPDX-License-Identifier: Apache-2.0
"""Slots managed by RAUC, over D-Bus (`de.pengutronix.rauc`), for boards.

Tested against a stand-in for the D-Bus object; it has not been run on a board.

What it needs of the board's `system.conf`: `activate-installed=false` (a slot is booted only after `activate`), a boot
loader with boot counters (they are the way back when the new slot does not come up), and `compatible` equal to the
product's `firmware_family`. RAUC checks a bundle's own signature against its keyring; the signature of the OCPP
request, over the whole bundle, is checked here before RAUC hears of the file. `dbus-fast` is imported when the first
call is made.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from firmware.errors import ImageError
from firmware.update import signing
from firmware.update.slot_directory import open_image
from firmware.update.slots import Proof, SlotError, SlotStatus
from firmware.update.version import Version

__all__ = ["Installer", "RaucSlots", "connect"]

_NAME = "de.pengutronix.rauc"
_INSTALL_LIMIT_S = 3600.0
_log = logging.getLogger(__name__)


class Installer(Protocol):
    """The D-Bus object's interface, as dbus-fast spells it; values may be wrapped in variants."""

    async def call_inspect_bundle(self, bundle: str, args: dict[str, Any]) -> dict[str, Any]: ...

    async def call_install_bundle(self, source: str, args: dict[str, Any]) -> None: ...

    async def call_mark(self, state: str, slot_identifier: str) -> Any: ...

    async def call_get_slot_status(self) -> list[Any]: ...

    async def call_get_primary(self) -> str: ...

    async def get_boot_slot(self) -> str: ...

    async def get_last_error(self) -> str: ...

    def on_completed(self, handler: Callable[[int], None]) -> None: ...

    def off_completed(self, handler: Callable[[int], None]) -> None: ...


async def connect() -> Installer:
    """RAUC's installer on the system bus; raises `SlotError`."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    try:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        description = await bus.introspect(_NAME, "/")
        proxy = bus.get_proxy_object(_NAME, "/", description)
        installer: Installer = proxy.get_interface(f"{_NAME}.Installer")
    except _dbus_errors() as error:
        raise SlotError(f"RAUC can't be reached: {error}") from error
    return installer


class RaucSlots:
    """`Slots` by RAUC. Slots are named by their boot names (`A`, `B`)."""

    def __init__(self, connect: Callable[[], Awaitable[Installer]] = connect) -> None:
        self._connect = connect
        self._installer: Installer | None = None

    async def status(self) -> SlotStatus:
        installer = await self._reach()
        booted = await _asked(installer.get_boot_slot())
        slots = await self._slots()
        good = {str(slot["bootname"]): slot.get("boot-status") == "good" for slot in slots if "bootname" in slot}
        failed = next((name for name, fine in good.items() if not fine and name != booted), "")
        return SlotStatus(booted, trial=not good.get(booted, True), failed=failed)

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        await asyncio.to_thread(_check_proof, image, proof)
        installer = await self._reach()
        described = _plain(await _asked(installer.call_inspect_bundle(str(image), {})))
        _check_bundle(described.get("update", {}), family=family, running=running, rollback=rollback)
        await self._run(installer, image)
        booted = await _asked(installer.get_boot_slot())
        other = [str(slot["bootname"]) for slot in await self._slots() if slot.get("bootname", booted) != booted]
        if len(other) != 1:
            raise SlotError(f"{len(other)} other slots can be booted; one is expected")
        return other[0]

    async def activate(self, slot: str) -> None:
        await _asked((await self._reach()).call_mark("active", await self._rauc_name(slot)))

    async def keep(self) -> None:
        await _asked((await self._reach()).call_mark("good", "booted"))

    async def roll_back(self) -> None:
        installer = await self._reach()
        await _asked(installer.call_mark("active", "other"))
        await _asked(installer.call_mark("bad", "booted"))

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _reach(self) -> Installer:
        if self._installer is None:
            self._installer = await self._connect()
        return self._installer

    async def _run(self, installer: Installer, image: Path) -> None:
        completed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_completed(result: int) -> None:
            if not completed.done():
                completed.set_result(result)

        installer.on_completed(on_completed)
        try:
            await _asked(installer.call_install_bundle(str(image), {}))
            async with asyncio.timeout(_INSTALL_LIMIT_S):
                result = await completed
        except TimeoutError as error:
            raise SlotError("RAUC did not finish") from error
        finally:
            installer.off_completed(on_completed)
        if result != 0:
            raise SlotError(f"RAUC: {await _asked(installer.get_last_error())}")

    async def _slots(self) -> list[dict[str, Any]]:
        installer = await self._reach()
        return [{"name": name, **_plain(fields)} for name, fields in await _asked(installer.call_get_slot_status())]

    async def _rauc_name(self, boot_name: str) -> str:
        for slot in await self._slots():
            if slot.get("bootname") == boot_name:
                return str(slot["name"])
        raise SlotError(f"RAUC knows no slot {boot_name}")


async def _asked(answer: Awaitable[Any]) -> Any:
    """What RAUC answers; every D-Bus error becomes a `SlotError`."""
    try:
        return await answer
    except _dbus_errors() as error:
        raise SlotError(f"RAUC: {error}") from error


def _dbus_errors() -> tuple[type[Exception], ...]:
    """What dbus-fast raises when the peer refuses, or is gone."""
    try:
        from dbus_fast import DBusError, InvalidIntrospectionError
    except ModuleNotFoundError:
        return (OSError, EOFError)
    return (OSError, EOFError, DBusError, InvalidIntrospectionError)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The dictionary without variants."""
    bare = {key: getattr(value, "value", value) for key, value in fields.items()}
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in bare.items()}


def _check_proof(image: Path, proof: Proof) -> None:
    with open_image(image) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1 << 20):
            digest.update(piece)
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest.digest())


def _check_bundle(update: dict[str, Any], *, family: str, running: str, rollback: bool) -> None:
    compatible, version = str(update.get("compatible", "")), Version.parse(str(update.get("version", "")))
    if compatible != family:
        raise ImageError(f"for {compatible}, this is {family}")
    if version < Version.parse(running) and not rollback:
        raise ImageError(f"{version} is older than {running}, which is running")
