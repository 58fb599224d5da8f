# SPDX-License-Identifier: Apache-2.0
"""`python -m services.commissioning --config FILE`: the commissioning page's composition root."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmware import config, lifecycle, log
from firmware.clock import SystemClock
from firmware.errors import BaywattError
from firmware.factory_settings import FactorySettings
from services.commissioning.config import CommissioningConfig
from services.commissioning.service import Service


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="baywatt-commissioning", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file, see packaging/etc/commissioning.toml")
    arguments = parser.parse_args(argv)
    try:
        settings = config.load(arguments.config, CommissioningConfig)
        file = Path(settings.log_file) if settings.log_file else None
        log.setup(settings.log_level, file, identifier="baywatt-commissioning")
        factory = config.load(Path(settings.factory), FactorySettings)
        service = Service(settings, factory.commissioning, SystemClock())
    except BaywattError as error:
        return lifecycle.refuse(error)
    return lifecycle.run(service.start)


if __name__ == "__main__":
    sys.exit(main())
