# SPDX-License-Identifier: Apache-2.0
"""Slots as two version trees in a directory; for laptops, benches, and machines without an update service.

    factory      the tree that the machine was set up with; not in the directory, never written to
    a/ b/        version trees, each with `manifest.json` beside its top-level folders
    current      symbolic link to the tree that this boot runs; absent while that is the factory's
    boot.json    the boot counter: which slot is good, which is on trial and how often it may still be tried

The starter of the processes (the rig, `python -m firmware.update` before a unit) calls `select` once for each boot.
Only `select` moves `current`, so that `current` is always what runs. Each boot of a trial uses one try; a slot without
tries left is abandoned for the good one. Every change is a rename, and is on disk before the next step depends on it.

Importing this is cheap: the boot loader's half runs before anything else does.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from firmware import files
from firmware.update.slots import Proof, SlotError, SlotStatus

if TYPE_CHECKING:
    from firmware.update.image import ImageReader

__all__ = ["FACTORY", "SlotDirectory", "open_image"]

FACTORY = "factory"
SLOTS = ("a", "b")
TRIES = 2
"""Boots within which a slot on trial must be kept."""
_log = logging.getLogger(__name__)


class _Boot(Struct, frozen=True):
    """boot.json"""

    good: str = FACTORY
    trial: str = ""
    tries_left: int = 0
    failed: str = ""


class SlotDirectory:
    """`Slots`, and the boot loader's half: `select`, `tree`, `on_trial`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    # --- the boot loader's half; quick, and before anything else runs -----------------------------------------

    def select(self) -> Path | None:
        """Call once for each boot: the tree to run, None for the factory's. Counts the boot if the slot is on trial."""
        if not self._path.is_dir():
            return None
        boot = self._load()
        if boot.trial and (boot.tries_left <= 0 or not self._is_tree(boot.trial)):
            _log.error("slot %s was not kept in time: back to %s", boot.trial, boot.good)
            boot = _Boot(good=boot.good, failed=boot.trial)
            self._save(boot)
        elif boot.trial:
            boot = replace(boot, tries_left=boot.tries_left - 1)
            self._save(boot)
        chosen = boot.trial or boot.good
        if chosen != FACTORY and not self._is_tree(chosen):
            _log.error("slot %s is damaged: the factory's tree is used", chosen)
            chosen = FACTORY
        self._point(chosen)
        return self.tree()

    def tree(self) -> Path | None:
        """The tree that runs, None for the factory's."""
        running = self._running()
        return None if running == FACTORY else (self._path / running).absolute()

    def version(self) -> str | None:
        """The version in the running slot, None for the factory's."""
        tree = self.tree()
        try:
            return None if tree is None else str(msgspec.json.decode((tree / "manifest.json").read_bytes())["version"])
        except (OSError, ValueError, msgspec.DecodeError, KeyError, TypeError):
            return None

    @property
    def on_trial(self) -> bool:
        """Whether the running slot is on trial."""
        return self._load().trial == self._running()

    # --- Slots ------------------------------------------------------------------------------------------------

    async def status(self) -> SlotStatus:
        boot, running = self._load(), self._running()
        return SlotStatus(running, trial=boot.trial == running, failed=boot.failed)

    async def prepare(self) -> None:
        """The slot that does not run can be written at any time."""

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        import asyncio

        try:
            return await asyncio.to_thread(self._install, image, proof, family, running, rollback)
        except OSError as error:
            raise SlotError(f"{error.filename or self._path}: {error.strerror}") from error

    async def activate(self, slot: str) -> None:
        if not self._is_tree(slot):
            raise SlotError(f"slot {slot} is empty")
        self._change(replace(self._load(), trial=slot, tries_left=TRIES, failed=""))
        _log.info("slot %s will be booted on trial", slot)

    async def keep(self) -> None:
        boot = self._load()
        if boot.trial == self._running():
            self._change(_Boot(good=boot.trial))
            _log.info("slot %s is kept", boot.trial)

    async def roll_back(self) -> None:
        boot = self._load()
        if boot.trial:
            self._change(_Boot(good=boot.good, failed=boot.trial))
            _log.error("slot %s is abandoned", boot.trial)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _install(self, image: Path, proof: Proof, family: str, running: str, rollback: bool) -> str:
        from firmware.update import signing
        from firmware.update.image import ImageReader, check_allowed

        self._path.mkdir(mode=0o755, exist_ok=True)
        slot = self._free_slot()
        fresh = self._path / f"{slot}.new"
        certificate = signing.load_certificate(proof.certificate)
        with open_image(image) as stream:
            reader = ImageReader(stream)
            check_allowed(reader.manifest, family=family, running=running, rollback=rollback)
            self._clear(slot)
            try:
                _extract(reader, fresh)
                reader.finish()
                signing.verify_digest(certificate, proof.signature, reader.digest)
                files.rename(fresh, self._path / slot)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        _log.info("slot %s holds %s", slot, reader.manifest.version)
        return slot

    def _free_slot(self) -> str:
        taken = {self._running(), self._load().good}
        free = [slot for slot in SLOTS if slot not in taken]
        if not free:
            raise SlotError("no slot is free: the running version is on trial, and the previous one is kept")
        return free[0]

    def _clear(self, slot: str) -> None:
        boot = self._load()
        if boot.trial == slot:
            self._save(_Boot(good=boot.good))
        for tree in (self._path / slot, self._path / f"{slot}.new"):
            if tree.is_symlink() or tree.is_file():
                tree.unlink()
            elif tree.exists():
                shutil.rmtree(tree)

    def _is_tree(self, slot: str) -> bool:
        return slot in SLOTS and (self._path / slot / "manifest.json").is_file()

    def _running(self) -> str:
        try:
            target = os.readlink(self._path / "current")
        except OSError:
            return FACTORY
        return target if target in SLOTS else FACTORY

    def _point(self, slot: str) -> None:
        """At every instant `current` points to a slot or does not exist."""
        link = self._path / "current"
        if slot == self._running():
            return
        if slot == FACTORY:
            link.unlink(missing_ok=True)
            files.sync_folder(self._path)
        else:
            new = self._path / "current.new"
            new.unlink(missing_ok=True)
            os.symlink(slot, new)
            files.rename(new, link)

    def _load(self) -> _Boot:
        """The boot counter; a damaged file means no trial, and that the running slot is the good one."""
        try:
            kept = msgspec.json.decode((self._path / "boot.json").read_bytes())
            boot = _Boot(str(kept["good"]), str(kept["trial"]), int(kept["tries_left"]), str(kept["failed"]))
        except FileNotFoundError:
            return _Boot(good=self._running())
        except (OSError, ValueError, msgspec.DecodeError, KeyError, TypeError) as error:
            _log.error("%s: %s", self._path / "boot.json", error)
            return _Boot(good=self._running())
        return boot if boot.good in (FACTORY, *SLOTS) else replace(boot, good=FACTORY)

    def _change(self, boot: _Boot) -> None:
        try:
            self._save(boot)
        except OSError as error:
            raise SlotError(f"{self._path}: {error.strerror}") from error

    def _save(self, boot: _Boot) -> None:
        files.replace(self._path / "boot.json", msgspec.json.encode(boot), mode=0o644)


@contextmanager
def open_image(path: Path) -> Iterator[BinaryIO]:
    """Open the image, which must be a plain file and no link; raises `OSError`, `ImageError`."""
    from firmware.errors import ImageError

    with open(path, "rb", opener=_open_no_link) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ImageError("the image is not a plain file")
        yield stream


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _extract(reader: ImageReader, folder: Path) -> None:
    """Write every file and the manifest into a new folder. The reader has checked the names."""
    import msgspec

    folder.mkdir(mode=0o755)
    folders = {folder}
    for entry, content in reader.files():
        target = folder / entry.path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folders.add(target.parent)
        files.write_new(target, content, mode=0o644)
    files.write_new(folder / "manifest.json", [msgspec.json.encode(reader.manifest)], mode=0o644)
    for each in folders:
        files.sync_folder(each)
