# SPDX-License-Identifier: Apache-2.0
"""What the cabinet's label says, in the state folder of the commissioning process.

label.json      the password for the first log-in, and after a factory reset
accounts.json   hashes of the passwords and tokens in force (`accounts.py`)
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["ACCOUNTS", "LABEL", "Label", "valid_password"]

LABEL = "label.json"
ACCOUNTS = "accounts.json"


class Label(Struct, frozen=True):
    commissioning_password: str


class _Installer(Struct, frozen=True):
    installer: str | None = None


def valid_password(folder: Path) -> str | None:
    """The label's password, for a bench that plays the installer; None once changed, and before the first start."""
    try:
        label = msgspec.json.decode((folder / LABEL).read_bytes(), type=Label)
        accounts = msgspec.json.decode((folder / ACCOUNTS).read_bytes(), type=_Installer)
    except (OSError, msgspec.DecodeError):
        return None
    return label.commissioning_password if accounts.installer is None else None
