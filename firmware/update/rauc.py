# SPDX-License-Identifier: Apache-2.0
"""Slots managed by RAUC, over D-Bus (`de.pengutronix.rauc`), for boards.

Tested against a stand-in for the D-Bus object, as RAUC 1.8 (Debian 12) and newer ones have it, and with RAUC 1.8 in
an emulated board (`make image-test`); it has not been run on hardware.

The board must have a boot loader with boot counters, which are the way back if the new slot does not come up, and in
`system.conf` `activate-installed=false` (a slot is booted only after `activate`) and `compatible` equal to the
product's `firmware_family`, with `@` and the board's name after it where a product has several boards. RAUC checks a
bundle's own signature against its keyring; the signature of the OCPP request, over the whole bundle, is checked here
before RAUC gets the file. `dbus-fast` is imported for the first call.

Boot loaders count every boot down until the slot is marked good, and RAUC does not report whether that was done in
this boot. So the running slot counts as on trial until it is kept: the caller keeps it at every start.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from firmware.errors import ImageError
from firmware.update import signing
from firmware.update.slot_directory import open_image
from firmware.update.slots import Proof, SlotError, SlotStatus
from firmware.update.version import Version

__all__ = ["Installer", "RaucSlots", "connect"]

_NAME = "de.pengutronix.rauc"
_ANSWER_LIMIT_S = 120.0
"""To inspect a bundle RAUC may have to read all of it."""
_INSTALL_LIMIT_S = 3600.0
_POLL_S = 1.0


class Installer(Protocol):
    """The D-Bus object's interface, as dbus-fast spells it; values may be wrapped in variants."""

    async def call_info(self, bundle: str) -> list[str]:
        """Compatible and version. Newer releases have it, too, and call it deprecated."""

    async def call_install_bundle(self, source: str, args: dict[str, Any]) -> None: ...

    async def call_mark(self, state: str, slot_identifier: str) -> Any: ...

    async def call_get_slot_status(self) -> list[Any]: ...

    async def get_compatible(self) -> str: ...

    async def get_operation(self) -> str: ...

    async def get_last_error(self) -> str: ...

    def on_completed(self, handler: Callable[[int], None]) -> None: ...

    def off_completed(self, handler: Callable[[int], None]) -> None: ...


@runtime_checkable
class Inspector(Protocol):
    """What newer releases have in addition; dbus-fast gives its object the methods that the introspection names."""

    async def call_inspect_bundle(self, bundle: str, args: dict[str, Any]) -> dict[str, Any]: ...


async def connect() -> Installer:
    """RAUC's installer on the system bus; raises `SlotError`."""
    try:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
    except ModuleNotFoundError as error:
        raise SlotError("dbus-fast is not installed: RAUC can't be reached") from error
    try:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        description = await bus.introspect(_NAME, "/")
        proxy = bus.get_proxy_object(_NAME, "/", description)
        installer = cast(Installer, proxy.get_interface(f"{_NAME}.Installer"))
    except _dbus_errors() as error:
        raise SlotError(f"RAUC can't be reached: {error}") from error
    return installer


class RaucSlots:
    """`Slots` by RAUC. Slots are named by their boot names (`A`, `B`)."""

    def __init__(self, connect: Callable[[], Awaitable[Installer]] = connect) -> None:
        self._connect = connect
        self._installer: Installer | None = None
        self._kept = False

    async def status(self) -> SlotStatus:
        booted, others = await self._slots()
        failed = next((_boot_name(slot) for slot in others if _has_failed(slot)), "")
        return SlotStatus(_boot_name(booted), trial=not self._kept, failed=failed)

    async def prepare(self) -> None:
        """RAUC installs while the system runs."""

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        await asyncio.to_thread(_check_proof, image, proof)
        await self._ask(_until_idle, _INSTALL_LIMIT_S)
        compatible, version = await self._ask(lambda rauc: _compatible_and_version(rauc, str(image)))
        board = await self._ask(lambda rauc: rauc.get_compatible())
        if board.partition("@")[0] != family:
            raise SlotError(f"RAUC is set up for {board}, this station is {family}")
        _check_bundle(compatible, version, board=board, running=running, rollback=rollback)
        _booted, others = await self._slots()
        if len(others) != 1:
            raise SlotError(f"{len(others)} other slots can be booted; one is expected")
        await self._run(image)
        return _boot_name(others[0])

    async def activate(self, slot: str) -> None:
        booted, others = await self._slots()
        names = [str(each["name"]) for each in (booted, *others) if _boot_name(each) == slot]
        if not names:
            raise SlotError(f"RAUC knows no slot {slot}")
        await self._ask(lambda rauc: rauc.call_mark("active", names[0]))

    async def keep(self) -> None:
        await self._ask(lambda rauc: rauc.call_mark("good", "booted"))
        self._kept = True

    async def roll_back(self) -> None:
        await self._ask(lambda rauc: rauc.call_mark("active", "other"))
        await self._ask(lambda rauc: rauc.call_mark("bad", "booted"))

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _ask(self, call: Callable[[Installer], Awaitable[Any]], limit_s: float = _ANSWER_LIMIT_S) -> Any:
        """Call RAUC; every D-Bus error becomes a `SlotError`, and after a lost bus the next call connects again."""
        try:
            async with asyncio.timeout(limit_s):
                if self._installer is None:
                    self._installer = await self._connect()
                return await call(self._installer)
        except TimeoutError as error:
            raise SlotError(f"RAUC did not answer within {limit_s:g} s") from error
        except _dbus_errors() as error:
            if isinstance(error, OSError | EOFError):
                self._installer = None
            raise SlotError(f"RAUC: {error}") from error

    async def _run(self, image: Path) -> None:
        completed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_completed(result: int) -> None:
            if not completed.done():
                completed.set_result(result)

        async def install(rauc: Installer) -> int:
            rauc.on_completed(on_completed)
            try:
                await rauc.call_install_bundle(str(image), {})
                return await completed
            finally:
                rauc.off_completed(on_completed)

        result = await self._ask(install, _INSTALL_LIMIT_S)
        if result != 0:
            raise SlotError(f"RAUC: {await self._ask(lambda rauc: rauc.get_last_error())}")

    async def _slots(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The running slot, and the others that can be booted."""
        answer = await self._ask(lambda rauc: rauc.call_get_slot_status())
        slots = [{"name": name, **_plain(fields)} for name, fields in answer]
        bootable = [slot for slot in slots if slot.get("bootname")]
        booted = [slot for slot in bootable if slot.get("state") == "booted"]
        if len(booted) != 1:
            raise SlotError("RAUC does not report which slot was booted")
        return booted[0], [slot for slot in bootable if slot is not booted[0]]


async def _compatible_and_version(rauc: Installer, bundle: str) -> tuple[str, str]:
    """What the bundle says of itself; RAUC has checked its signature by then."""
    if not isinstance(rauc, Inspector):
        compatible, version = await rauc.call_info(bundle)
        return compatible, version
    described = _plain(await rauc.call_inspect_bundle(bundle, {})).get("update", {})
    return str(described.get("compatible", "")), str(described.get("version", ""))


async def _until_idle(rauc: Installer) -> None:
    """An installation from before a restart of this process continues, and RAUC does one thing at a time."""
    while await rauc.get_operation() != "idle":  # noqa: ASYNC110 (asked over the bus)
        await asyncio.sleep(_POLL_S)


def _boot_name(slot: dict[str, Any]) -> str:
    return str(slot["bootname"])


def _has_failed(slot: dict[str, Any]) -> bool:
    """Whether the boot loader has abandoned it. A slot that was never activated is not bootable, either."""
    activated, installed = str(slot.get("activated.timestamp", "")), str(slot.get("installed.timestamp", ""))
    return slot.get("boot-status") != "good" and bool(activated) and activated >= installed


def _dbus_errors() -> tuple[type[Exception], ...]:
    """What dbus-fast raises if the peer refuses or is not there."""
    try:
        from dbus_fast import errors
    except ModuleNotFoundError:
        return (OSError, EOFError)
    refused = (errors.AuthError, errors.DBusError, errors.InvalidAddressError)
    return (OSError, EOFError, *refused, errors.InterfaceNotFoundError, errors.InvalidIntrospectionError)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The dictionary without variants, which may be nested."""
    bare = {key: _bare(value) for key, value in fields.items()}
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in bare.items()}


def _bare(value: Any) -> Any:
    while hasattr(value, "signature") and hasattr(value, "value"):
        value = value.value
    return value


def _check_proof(image: Path, proof: Proof) -> None:
    with open_image(image) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1 << 20):
            digest.update(piece)
    signing.verify_digest(signing.load_certificate(proof.certificate), proof.signature, digest.digest())


def _check_bundle(compatible: str, offered: str, *, board: str, running: str, rollback: bool) -> None:
    version = Version.parse(offered)
    if compatible != board:
        raise ImageError(f"the bundle is for {compatible}, this board is {board}")
    if version < Version.parse(running) and not rollback:
        raise ImageError(f"{version} is older than the running version {running}")
