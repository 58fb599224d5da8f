# SPDX-License-Identifier: Apache-2.0
"""A product as it was last read, kept as JSON: a start that finds its files unchanged neither parses nor checks them.

To parse the TOML of a product takes a fifteenth of a service's time to start. What is kept counts only for the same
firmware, name and content of each file that it was made of; otherwise, or if it is damaged, it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from firmware import files
from firmware.product import loader
from firmware.product.model import Product
from firmware.version import VERSION

__all__ = ["load"]


class _Kept(msgspec.Struct, frozen=True):
    firmware: str
    name: str
    digests: dict[str, str]
    """SHA-256 of each file, by its path."""
    product: Product


def load(name: str, place: Path) -> Product:
    """As `firmware.product.load`, by way of the file `place`. Raises `ConfigError`."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        kept = msgspec.json.decode(place.read_bytes(), type=_Kept)
        if (kept.firmware, kept.name, kept.digests) == (VERSION, name, _digests(kept.digests)):
            return kept.product
    read: list[Path] = []
    product = loader.load(name, read)
    with contextlib.suppress(OSError):  # a full disk must not keep a station from starting
        kept = _Kept(VERSION, name, _digests(map(str, read)), product)
        files.replace(place, msgspec.json.encode(kept), durable=False)
    return product


def _digests(paths: Iterable[str]) -> dict[str, str]:
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
