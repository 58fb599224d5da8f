# SPDX-License-Identifier: Apache-2.0
"""Every exception of the firmware, in one tree that says where the error is.

    BaywattError
    ├── ConfigError        in a settings, factory or product file
    ├── ContractError      in the other process: the peer on the local socket broke the contract
    ├── DriverError        in the hardware: a device did not do what its port requires
    │   ├── DeviceLost         no answer: cable, power, link
    │   └── DeviceRefused      an answer, but not the expected one
    ├── CsmsError          in the CSMS: it sent what the specification does not allow
    ├── ImageError         in a firmware image: damaged, forged, or not for this station
    └── StorageError       in the storage: full, absent or damaged

Any other exception is a bug: it ends the process, and its supervisor restarts it.
"""

from __future__ import annotations

__all__ = [
    "BaywattError",
    "ConfigError",
    "ContractError",
    "CsmsError",
    "DeviceLost",
    "DeviceRefused",
    "DriverError",
    "ImageError",
    "StorageError",
]


class BaywattError(Exception):
    """Root of the tree; never raised itself."""


class ConfigError(BaywattError):
    """A settings file is wrong; the text names the file, the place in it, and what was expected."""


class ContractError(BaywattError):
    """The other end of the local socket sent what `firmware/contract/README.md` does not allow."""


class DriverError(BaywattError):
    """A device failed; the HAL turns it into a fault of the contract's list."""


class DeviceLost(DriverError):
    """The device no longer answers."""


class DeviceRefused(DriverError):
    """The device refused, or did something else."""


class CsmsError(BaywattError):
    """The CSMS broke the protocol."""


class ImageError(BaywattError):
    """A firmware image that can't be installed; the text says why, without secrets."""


class StorageError(BaywattError):
    """Data could not be stored or read."""
