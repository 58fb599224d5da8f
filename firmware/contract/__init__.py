# SPDX-License-Identifier: Apache-2.0
"""The boundary between the HAL and all other processes; README.md in this folder is its specification."""

from firmware.contract.display import *
from firmware.contract.display import __all__ as _display
from firmware.contract.faults import *
from firmware.contract.faults import __all__ as _faults
from firmware.contract.messages import *
from firmware.contract.messages import __all__ as _messages
from firmware.contract.network import *
from firmware.contract.network import __all__ as _network

__all__ = [*_display, *_faults, *_messages, *_network]
