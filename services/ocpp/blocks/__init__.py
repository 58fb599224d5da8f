# SPDX-License-Identifier: Apache-2.0
"""The functional blocks of the specification that this station has, in the specification's order.

`BLOCKS` is the whole dispatch: a request of the CSMS goes to the block whose `handles` names it, the answer to a
request of the station to the block whose `asks` names it, a worker's report to the block that ordered the task; events
and signals go to all blocks in this order, those of the HAL to block G first.
"""

from services.ocpp.blocks.authorization import Authorization
from services.ocpp.blocks.availability import Availability
from services.ocpp.blocks.certificates import Certificates
from services.ocpp.blocks.data_transfer import DataTransfer
from services.ocpp.blocks.diagnostics import Diagnostics
from services.ocpp.blocks.firmware_management import FirmwareManagement
from services.ocpp.blocks.meter_values import MeterValues
from services.ocpp.blocks.provisioning import Provisioning
from services.ocpp.blocks.remote_control import RemoteControl
from services.ocpp.blocks.security import Security
from services.ocpp.blocks.transactions import Transactions
from services.ocpp.context import Block

__all__ = ["BLOCKS"]

BLOCKS: tuple[type[Block], ...] = (
    Security,  # A
    Provisioning,  # B
    Authorization,  # C
    Transactions,  # E
    RemoteControl,  # F
    Availability,  # G
    MeterValues,  # J
    FirmwareManagement,  # L
    Certificates,  # M
    Diagnostics,  # N
    DataTransfer,  # P
)
