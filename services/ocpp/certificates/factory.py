# SPDX-License-Identifier: Apache-2.0
"""Installs the certificates of a new station (`CertificateFiles`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from firmware.errors import ConfigError
from services.ocpp.certificates.errors import CertificateError

if TYPE_CHECKING:
    from firmware.factory_settings import CertificateFiles
    from services.ocpp.certificates.store import CertificateStore, RootKind

__all__ = ["install"]


def install(store: CertificateStore, files: CertificateFiles) -> None:
    """Called once, at the first start. Raises `ConfigError` naming the file, or the two that belong together."""
    roots: tuple[tuple[RootKind, list[str]], ...] = (
        ("CSMSRootCertificate", files.csms_root),
        ("ManufacturerRootCertificate", files.manufacturer_root),
    )
    for kind, names in roots:
        for name in names:
            try:
                store.install_root(kind, _read(name), None)
            except CertificateError as error:
                raise ConfigError(f"certificates: {name}: {error}") from error
    if (files.station_chain is None) != (files.station_key is None):
        raise ConfigError("certificates: station_chain and station_key belong together")
    if files.station_chain is not None and files.station_key is not None:
        try:
            store.station.adopt(_read(files.station_chain), _read(files.station_key))
        except CertificateError as error:
            raise ConfigError(f"certificates: {files.station_chain} with {files.station_key}: {error}") from error


def _read(name: str) -> str:
    try:
        return Path(name).read_text("ascii")
    except (OSError, ValueError) as error:
        raise ConfigError(f"certificates: {name} can't be read") from error
