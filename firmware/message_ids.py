# SPDX-License-Identifier: Apache-2.0
"""The MESSAGE_ID of the log records that operators search for: `journalctl MESSAGE_ID=...`.

An id says what happened, whatever the words of the message are; it never changes. docs/operations.md lists them.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["MessageId"]


class MessageId(str, Enum):
    """Random 128-bit numbers, as journald expects them."""

    READY = "f5001e2118544d4e93a26143fc62aef7"
    STOPPING = "6f70be6c06e949298a361c54b0c4c50a"
    HEALTH = "4e77533b1b1a4bfdbda914d72b42c6d6"
    FAULT_RAISED = "59364e20c4df41aeb6c72c6f02537ebb"
    FAULT_CLEARED = "da4fffa055ab476780ad886b245d6082"
    DEVICE_LOST = "447edc8acfc04b83946374977211b55d"
    DEVICE_BACK = "86d1243284aa448fadd8d783c37cbeae"
    TRANSACTION_STARTED = "410a030625c041d6bbef3aac4b435287"
    TRANSACTION_ENDED = "84efcabdcdf4454a8a70ea25fc581155"
    CSMS_CONNECTED = "bdcfcd0443444d7daadb4a871ed69f05"
    CSMS_DISCONNECTED = "60c8e80a7af749b3a89164f29eb25447"
    LINK_CHANGED = "ca1c68cefe744068ae54614e7291ed58"
    MODEM_RECOVERY = "08a09e19024b42aa80f0642544a67195"
    SECURITY_EVENT = "d2e417bcc23a497fb0078be6d7772044"
    FIRMWARE_UPDATE = "aca652a717124ebda76cbb65eff36d05"
    AUDIT = "d167dc65ac0244b9bb8d4acfef8e0540"
    REBOOT = "a614489ccfdb432c91a91fc0da7077f9"
