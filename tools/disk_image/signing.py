# SPDX-License-Identifier: Apache-2.0
"""Who signs bundles: a key that is given, or a development key that is made once in this checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.disk_image.host import ImageError
from tools.pki import Authority, write_pair

__all__ = ["Signer", "development_signer"]


@dataclass(frozen=True)
class Signer:
    """PEM files. `keyring`: the roots that a board trusts; the signer's certificate is made for signing code."""

    key: Path
    certificate: Path
    keyring: Path

    def check(self) -> None:
        for path in (self.key, self.certificate, self.keyring):
            if not path.is_file():
                raise ImageError(f"{path}: no such file")


def development_signer(folder: Path) -> Signer:
    """The key in `folder`, made if there is none: boards flashed from this checkout accept its later bundles."""
    signer = Signer(folder / "signer.key", folder / "signer.pem", folder / "root.pem")
    if not all(path.exists() for path in (signer.key, signer.certificate, signer.keyring)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = Authority("development root", "baywatt development")
        issued = root.firmware_signer()
        write_pair(folder, "signer", issued.pem, issued.key)
        signer.keyring.write_text(root.pem)
    return signer
