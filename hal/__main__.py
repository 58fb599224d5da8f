# SPDX-License-Identifier: Apache-2.0
"""`python -m hal --config FILE`: puts buses, drivers, cabinet and socket together; no logic here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from firmware import log
from firmware.clock import SystemClock
from firmware.config import load
from firmware.errors import ConfigError
from firmware.lifecycle import Lifecycle, run
from hal.cabinet import StationCabinet
from hal.config import HalConfig
from hal.registry import Bus, check_devices, close_buses, make_buses, make_hardware, open_buses
from hal.server import HalServer

__all__ = ["main"]


async def _serve(life: Lifecycle, config: HalConfig, buses: dict[str, Bus], where: Path) -> None:
    """Start from the hardware up, stop in reverse: the socket closes after the last contactor has opened."""
    clock = SystemClock()
    await open_buses(buses)

    async def close() -> None:
        close_buses(buses)

    life.on_stop("buses", close)
    cabinet = StationCabinet(make_hardware(config, buses, where), clock)
    cabinet.start()
    server = HalServer(
        cabinet,
        path=Path(config.socket),
        clock=clock,
        utc=cabinet.utc,
        allowed_uids=frozenset(config.allowed_uids),
        observer_uids=frozenset(config.observer_uids),
    )
    await server.start()
    life.on_stop("socket", server.close)
    life.on_stop("cabinet", cabinet.close)
    life.critical("control loop", cabinet.run())
    life.watch(lambda: cabinet.pulse.all_alive(clock.monotonic()))
    life.ready(f"{len(config.evse)} EVSEs")


def main(arguments: list[str] | None = None) -> int:
    """Run the HAL; returns 0 after an orderly stop, 1 after a failure, 2 for invalid settings."""
    parser = argparse.ArgumentParser(prog="baywatt-hal", description="The charger's hardware daemon.")
    parser.add_argument("--config", type=Path, default=Path("/etc/baywatt/hal.toml"), help="settings file (TOML)")
    parser.add_argument("--dump-config", action="store_true", help="print the settings in force as JSON and exit")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config, HalConfig)
        buses = make_buses(config, options.config)
        check_devices(config, buses, options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if options.dump_config:
        print(msgspec.json.format(msgspec.json.encode(config)).decode())
        return 0
    log.setup(config.log_level, Path(config.log_file) if config.log_file is not None else None)
    return run(lambda life: _serve(life, config, buses, options.config))


if __name__ == "__main__":
    sys.exit(main())
