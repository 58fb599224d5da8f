# SPDX-License-Identifier: Apache-2.0
"""`python -m services.ocpp --config FILE`: the OCPP service's composition root."""

from __future__ import annotations

import argparse
import os
import sys
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="baywatt-ocpp", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file of services.ocpp.config.ServiceConfig")
    arguments = parser.parse_args(argv)
    try:
        settings = config.load(arguments.config, ServiceConfig)
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


if __name__ == "__main__":
    sys.exit(main())
