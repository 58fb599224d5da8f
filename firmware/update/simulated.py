# SPDX-License-Identifier: Apache-2.0
"""A slot directory on a simulated board, whose next installation ends as the rig has arranged.

The arrangement is the content of the file `next`, which the installation removes: `ok`, `install_fails` (the flash
can't be written), `boot_fails` (the new tree crashes when it starts), `needs_reboot_first` (as on boards that install
from their boot loader).
"""

from __future__ import annotations

from pathlib import Path

from firmware.update.slot_directory import SlotDirectory
from firmware.update.slots import Proof, RebootNeeded, SlotError

__all__ = ["SimulatedSlots", "arrange"]

_NEXT = "next"
_CRASH = "# SPDX-License-Identifier: Apache-2.0\nraise SystemExit('this version crashes at start')\n"


class SimulatedSlots(SlotDirectory):
    """`Slots` with the arrangement."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._next = path / _NEXT

    async def prepare(self) -> None:
        if self._arranged() == "needs_reboot_first":
            self._next.unlink()
            raise RebootNeeded("this board installs after a restart")

    async def install(self, image: Path, proof: Proof, *, family: str, running: str, rollback: bool) -> str:
        arranged = self._arranged()
        self._next.unlink(missing_ok=True)
        if arranged == "install_fails":
            raise SlotError("the flash can't be written")
        slot = await super().install(image, proof, family=family, running=running, rollback=rollback)
        if arranged == "boot_fails":
            for process in ("hal", "services/ocpp"):
                (self._path / slot / process / "__main__.py").write_text(_CRASH)
        return slot

    def _arranged(self) -> str:
        try:
            return self._next.read_text()
        except FileNotFoundError:
            return "ok"


def arrange(path: Path, how: str) -> None:
    """Arrange how the next installation in the slot directory `path` ends."""
    path.mkdir(mode=0o755, exist_ok=True)
    new = path / f"{_NEXT}.new"
    new.write_text(how)
    new.replace(path / _NEXT)
