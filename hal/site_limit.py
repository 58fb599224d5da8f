# SPDX-License-Identifier: Apache-2.0
"""What the supply of this site permits, as an installer has set it; kept in a file, and in force from the next start.

It can only lower what the settings allow (`max_power_w`, `site_limit_w`): whoever may set it here can overload nothing
that the settings protect. A file that can't be read is an error: without knowing the limit, no energy may flow.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
from msgspec import Struct

from firmware import files
from firmware.contract import SiteLimit
from firmware.errors import ConfigError

__all__ = ["KeptSiteLimit"]

_LEAST_W = 1000.0


class _Kept(Struct, frozen=True):
    power_w: float


class KeptSiteLimit:
    """The limit in `path` (None: it is forgotten), below `settings_w`. Raises `ConfigError`."""

    def __init__(self, path: Path | None, settings_w: float = math.inf) -> None:
        self._path = path
        self._settings_w = settings_w
        self._next_w = None if path is None else _load(path)
        self.in_force_w = min(settings_w, math.inf if self._next_w is None else self._next_w)
        """From the start to the end of the process."""

    @property
    def report(self) -> SiteLimit:
        return SiteLimit(
            in_force_w=_or_none(self.in_force_w), settings_w=_or_none(self._settings_w), next_w=self._next_w
        )

    def objection(self, power_w: float | None) -> str | None:
        """Why a limit can't be set, in words."""
        if power_w is None or _LEAST_W <= power_w <= self._settings_w:
            return None
        most = f" to {self._settings_w:.0f} W, what the settings allow" if self._settings_w < math.inf else ""
        return f"expected {_LEAST_W:.0f} W{most or ' or more'}"

    def set(self, power_w: float | None) -> None:
        """Keep it on the disk, which may block for as long as a disk takes.

        Raises `OSError`; then nothing is changed.
        """
        if self._path is not None:
            if power_w is None:
                self._path.unlink(missing_ok=True)
                files.sync_folder(self._path.parent)
            else:
                files.replace(self._path, msgspec.json.encode(_Kept(power_w)))
        self._next_w = power_w


def _load(path: Path) -> float | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept).power_w
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError:
        raise ConfigError(f"{path} is damaged: remove it, and set the site's limit again") from None


def _or_none(power_w: float) -> float | None:
    return None if math.isinf(power_w) else power_w
