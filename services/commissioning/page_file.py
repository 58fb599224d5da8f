# SPDX-License-Identifier: Apache-2.0
"""The first line of `page.pem`: what is in the certificate, so that nobody has to parse it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

__all__ = ["PageCertificateInfo", "first_line", "read_first_line"]

_COMMENT = b"# "
"""Readers of PEM skip what is outside of its blocks (RFC 7468, 2)."""


class PageCertificateInfo(Struct, frozen=True):
    """The certificate that browsers are shown; `fingerprint` is SHA-256 of its leaf, hexadecimal."""

    subject: str
    names: list[str]
    not_before: str
    not_after: str
    fingerprint: str
    self_made: bool


def first_line(info: PageCertificateInfo) -> bytes:
    return _COMMENT + msgspec.json.encode(info) + b"\n"


def read_first_line(content: bytes) -> PageCertificateInfo:
    """Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(content.partition(b"\n")[0].removeprefix(_COMMENT), type=PageCertificateInfo)
