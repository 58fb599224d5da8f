# SPDX-License-Identifier: Apache-2.0
"""`baywatt-hal [probe|safe] --config FILE`: puts buses, drivers, cabinet and socket together; no logic here."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from firmware import log
from firmware.clock import SystemClock
from firmware.config import load
from firmware.errors import ConfigError, DriverError
from firmware.lifecycle import Lifecycle, refuse, run
from firmware.users import gid_of, uids_of
from hal.cabinet import StationCabinet
from hal.config import HalConfig
from hal.known_meters import KnownMeters
from hal.registry import Bus, check_devices, close_buses, make_buses, make_hardware, open_buses
from hal.server import HalServer
from hal.site_limit import KeptSiteLimit
from hal.summary import summary

__all__ = ["main"]

SAFE_S = 3.0
"""A supervisor waits for `safe` before it starts the HAL again."""
SIMULATED_BUSES = ("demonstration", "simulated")
PATIENCE_S = 10.0
"""A driver opens a lost bus every 2 s, and a device may need some seconds after it is switched on."""


async def _serve(life: Lifecycle, config: HalConfig, buses: dict[str, Bus], where: Path) -> None:
    """Start from the hardware up, stop in reverse: the socket closes after the last contactor has opened."""
    clock = SystemClock()
    await open_buses(buses)

    async def close() -> None:
        close_buses(buses)

    life.on_stop("buses", close)
    meters = KnownMeters(Path(config.meters), config.commissioned_meters)
    site_limit = KeptSiteLimit(Path(config.site_limit), config.limit_w)
    cabinet = StationCabinet(make_hardware(config, buses, where), clock, site_limit=site_limit, meters=meters)
    cabinet.start()
    server = HalServer(
        cabinet,
        path=Path(config.socket),
        clock=clock,
        utc=cabinet.utc,
        allowed_uids=uids_of(config.allowed_users, where).union(config.allowed_uids),
        maintenance_uids=uids_of(config.maintenance_users, where),
        maintenance_gid=gid_of(config.maintenance_group),
        observer_uids=uids_of(config.observer_users, where).union(config.observer_uids),
    )
    cabinet.displays.has_service = lambda: server.has_service
    await server.start()
    life.on_stop("socket", server.close)
    life.on_stop("cabinet", cabinet.close)
    life.critical("control loop", cabinet.run())
    note = _simulated(config)
    life.describe(lambda: summary(cabinet.snapshot(0, ""), note))
    life.watch(lambda: cabinet.pulse.all_alive(clock.monotonic()))
    life.ready("; ".join(filter(None, (note, f"{len(config.evse)} EVSEs"))))


def _simulated(config: HalConfig) -> str:
    """What must not be overlooked in the log and in `systemctl status`."""
    simulated = config.simulated
    if len(simulated) == len(config.devices()):
        return "ALL HARDWARE IS SIMULATED"
    names = ", ".join(place.replace(", ", " ") for place in simulated)
    return f"SIMULATED: {names}" if names else ""


def _probe(config: HalConfig, buses: dict[str, Bus], options: argparse.Namespace) -> int:
    """Print what answers; returns 1 if anything does not. The verb `safe` opens what moves energy and no more."""
    from hal.probe import probe, report, with_outputs

    log.setup("ERROR", None)
    devices, patience = config.devices(), options.patience
    if options.verb == "safe":
        devices, patience = with_outputs(devices), min(patience, SAFE_S)
        buses = {name: bus for name, bus in buses.items() if config.bus[name]["driver"] not in SIMULATED_BUSES}
    try:
        findings = asyncio.run(probe(config, buses, options.config, patience, devices))
    except (ConfigError, DriverError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    print(report(findings))
    return 0 if all(each.device.answers for each in findings) else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the HAL, or probe its devices; returns 0 after an orderly stop, 1 after a failure, 2 for invalid settings."""
    parser = argparse.ArgumentParser(prog="baywatt-hal", description="The charger's hardware daemon.")
    parser.add_argument(
        "verb",
        nargs="?",
        choices=("run", "probe", "safe"),
        default="run",
        help="probe: list which devices answer, then exit; safe: switch off what moves energy, then exit",
    )
    parser.add_argument("--config", type=Path, default=Path("/etc/baywatt/hal.toml"), help="settings file (TOML)")
    parser.add_argument("--dump-config", action="store_true", help="print the settings in force as JSON and exit")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, metavar="S", help="probe: how long to wait")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config, HalConfig)
        buses = make_buses(config, options.config)
        check_devices(config, buses, options.config)
    except ConfigError as error:
        return refuse(error)
    if options.dump_config:
        print(msgspec.json.format(msgspec.json.encode(config)).decode())
        return 0
    if options.verb in ("probe", "safe"):
        return _probe(config, buses, options)
    file = Path(config.log_file) if config.log_file is not None else None
    log.setup(config.log_level, file, identifier="baywatt-hal")
    return run(lambda life: _serve(life, config, buses, options.config))


if __name__ == "__main__":
    sys.exit(main())
