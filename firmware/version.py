# SPDX-License-Identifier: Apache-2.0
"""The firmware's version, as BootNotification reports it."""

from __future__ import annotations

VERSION = "1.0.0"
