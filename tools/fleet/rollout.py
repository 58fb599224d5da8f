# SPDX-License-Identifier: Apache-2.0
"""The firmware of a roll-out: what the bench CSMS is to send in UpdateFirmware."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from firmware.clock import SystemClock, format_utc
from firmware.errors import BaywattError
from firmware.update.image import TOP_LEVEL
from tools.csms.client import Client
from tools.image.build import build, next_version

__all__ = ["update_request"]


def update_request(client: Client, product: str) -> dict[str, Any]:
    """For the newest image among the bench's files; without one, a small image of the next version is made there.

    Raises `BaywattError`.
    """
    folder = client.get("/api/files")["folder"]
    if folder is None:
        raise BaywattError("the bench CSMS was started without --files")
    images = sorted(Path(folder).glob("*.img"), key=lambda path: path.stat().st_mtime)
    name = images[-1].name if images else _make(Path(folder), product)
    firmware = client.get("/api/firmware", file=name, over="https")
    utc = SystemClock().utc()
    past = format_utc(utc - 60.0)
    return {
        "requestId": int(utc) % 1_000_000,
        "firmware": {**firmware, "retrieveDateTime": past, "installDateTime": past},
    }


def _make(folder: Path, product: str) -> str:
    """A version tree of no use but its version: hundreds of whole ones would fill the memory."""
    version = next_version()
    with TemporaryDirectory() as made:
        checkout = Path(made)
        for top in TOP_LEVEL:
            (checkout / top).mkdir()
            (checkout / top / "__init__.py").touch()
        (checkout / "firmware" / "version.py").write_text(f'VERSION = "{version}"\n')
        name = f"fleet-{version}.img"
        try:
            build(checkout, folder / name, product_name=product, version=version, min_version="0.0.0")
        except OSError as error:
            raise BaywattError(f"{folder}: an image can't be made there: {error.strerror}") from error
    return name
