# SPDX-License-Identifier: Apache-2.0
"""The OCPP service's composition root: settings in, exit code out."""

from __future__ import annotations

import os
from pathlib import Path

from firmware import config, lifecycle, log
from firmware.clock import SystemClock
from firmware.errors import BaywattError
from firmware.factory_settings import FactorySettings
from firmware.version import VERSION
from services.ocpp import factory_reset
from services.ocpp.config import ServiceConfig
from services.ocpp.product_choice import ProductChoice
from services.ocpp.service import Service

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Run the service; returns its exit code."""
    try:
        settings = config.load(_settings_file(arguments), ServiceConfig)
        file = Path(settings.log_file) if settings.log_file else None
        log.setup(settings.log_level, file, identifier="baywatt-ocpp")
        factory_reset.carry_out(settings)
        factory = config.load(Path(settings.factory), FactorySettings)
        service = Service(
            settings,
            factory,
            ProductChoice(Path(settings.database).parent, factory.product).load(),
            clock=SystemClock(),
            firmware_version=VERSION,
            dial_via=os.environ.get("BAYWATT_DIAL_VIA"),
        )
    except BaywattError as error:
        return lifecycle.refuse(error)
    return lifecycle.run(service.start)


def _settings_file(arguments: list[str]) -> Path:
    """The argument of `--config`. Exits for other arguments, and for `--help`."""
    match arguments:
        case ["--config", file]:  # as the unit has it: without the 4 ms of argparse
            return Path(file)
    import argparse

    parser = argparse.ArgumentParser(prog="baywatt-ocpp", description="The OCPP service of a charging station.")
    parser.add_argument("--config", type=Path, required=True, help="TOML file of services.ocpp.config.ServiceConfig")
    found: Path = parser.parse_args(arguments).config
    return found
