# SPDX-License-Identifier: Apache-2.0
"""One line of the message log: a JSON object for a frame, or for what happened to the connection or to a call."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

__all__ = ["Line", "decode", "encode"]


class Line(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Members without a meaning for this type of line are left out. `time` is first, so that lines sort by it."""

    time: str
    """The station's UTC."""
    type: Literal[
        "CALL",
        "CALLRESULT",
        "CALLERROR",
        "UNREADABLE",  # no OCPP-J message, or one that is too large to be shown
        "NO ANSWER",
        "CONNECTED",
        "DISCONNECTED",
        "NO CONNECTION",
        "RECORDING",  # was switched on or off: `text`
        "LEFT OUT",  # `count` frames are missing here
    ]
    direction: Literal["out", "in"] | None = None
    """`out`: from the station to the CSMS."""
    action: str = ""
    """Of an answer, that of its request, as far as that was seen."""
    id: str = ""
    outcome: str = ""
    """How a call ended: `result`, an error code, `time-out`, `connection lost`."""
    ms: float | None = None
    """From the request to this."""
    size: int = 0
    """Characters of the frame."""
    text: str = ""
    count: int = 0
    payload: Any | UnsetType = UNSET
    """Secrets and personal data are replaced by `***`; of a CALLERROR, description and details."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Line).decode
"""Raises `msgspec.MsgspecError` or `UnicodeDecodeError` for a damaged line."""
