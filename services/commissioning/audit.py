# SPDX-License-Identifier: Apache-2.0
"""What a person at the station did is a line that begins with `audit:` and has a MESSAGE_ID of its own in the journal.

Who, from where, what; no values, because they may be secrets.
"""

from __future__ import annotations

from firmware.log import fields
from firmware.message_ids import MessageId

__all__ = ["AUDIT"]

AUDIT = fields(message_id=MessageId.AUDIT)
"""The `extra` of the log call."""
