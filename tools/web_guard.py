# SPDX-License-Identifier: Apache-2.0
"""Whom a bench's pages serve: a request must name the host that it was meant for, and come from the page itself."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["authority", "is_loopback"]


def authority(url: str) -> tuple[str, str]:
    """Host with port, and host alone; empty if it is not an address. A Host header is `//HOST`."""
    try:
        parts = urlsplit(url)
        return parts.netloc, parts.hostname or ""
    except ValueError:
        return "", ""


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
