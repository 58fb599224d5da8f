# SPDX-License-Identifier: Apache-2.0
"""The message log: every frame between this station and the CSMS, as it can be shown to people (`docs/ocpp-log.md`).

Frames are kept in memory as they are (`ring.py`). What is written is made into lines (`formatter.py`, `line.py`)
without secrets and card numbers (`redaction.py`), later and beside the traffic (`log.py`).
"""

from services.ocpp.message_log.formatter import Formatter
from services.ocpp.message_log.log import MessageLog, open_file
from services.ocpp.message_log.redaction import Redaction

__all__ = ["Formatter", "MessageLog", "Redaction", "open_file"]
