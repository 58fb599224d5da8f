# SPDX-License-Identifier: Apache-2.0
"""Every exception of the firmware, in one tree that says whose fault it is.

    BaywattError
    ├── ConfigError        a settings, factory or product file says something impossible (the installer's)
    ├── ContractError      the peer on the local socket broke the contract (the other process's)
    ├── DriverError        a device did not do what its port promises (the hardware's)
    │   ├── DeviceLost         no answer: cable, power, link
    │   └── DeviceRefused      an answer, but not the one asked for
    ├── CsmsError          the CSMS sent what the specification does not allow (the remote's)
    ├── ImageError         a firmware image is damaged, forged, or not for this station (its maker's)
    └── StorageError       the disk is full, gone or damaged

Anything else that is raised is our own mistake: it ends the process, and its supervisor restarts it.
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
    """A file of settings is wrong; the text says which file, where in it, and what was expected."""


class ContractError(BaywattError):
    """The other end of the local socket sent what `firmware/contract/README.md` does not allow."""


class DriverError(BaywattError):
    """A device failed; the HAL turns it into a fault of the contract's list."""


class DeviceLost(DriverError):
    """The device no longer answers."""


class DeviceRefused(DriverError):
    """The device answered that it will not, or did something else."""


class CsmsError(BaywattError):
    """The CSMS broke the protocol."""


class ImageError(BaywattError):
    """A firmware image that will not be installed; the text says why, without anything secret."""


class StorageError(BaywattError):
    """What was to be kept could not be written or read."""
