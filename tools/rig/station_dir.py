# SPDX-License-Identifier: Apache-2.0
"""The station's state directory: its folders, its factory settings, its processes' settings, and one rig at a time.

    station.toml   factory settings, paths made absolute; written once, when the directory is empty
    etc/           hal.toml, ocpp.toml, commissioning.toml: written anew at each start
    run/           sockets; relative in the settings, because a socket's path is limited to 107 bytes
    data/          the OCPP service's database and certificates; accounts and certificate of the commissioning page
    slots/         installed versions (`firmware/update/slot_directory.py`); missing until the first installation
    log/           one file for each process, and the message log (docs/ocpp-log.md)
    world.json     the state of the simulated hardware that survives the rig (`drivers/simulated/world_file.py`)
    rig.lock       locked while a rig uses the directory

Importing this must stay cheap: the rig starts the station's processes before it loads what it needs itself.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from firmware import files
from firmware.config import load
from firmware.errors import ConfigError
from firmware.factory_settings import CertificateFiles, FactorySettings, NetworkProfile
from tools.rig.settings_file import to_toml

if TYPE_CHECKING:
    from firmware.product.model import Evse, Limits, Product

__all__ = [
    "ADMINISTRATION_SOCKET",
    "COMMISSIONING",
    "COMMISSIONING_PORT",
    "DEFAULT_SETTINGS",
    "DIAL_SOCKET",
    "DISPLAYS",
    "HAL_SOCKET",
    "MESSAGE_LOG",
    "PROCESS_ENVIRONMENT",
    "SLOTS",
    "STATUS_SOCKET",
    "WORLD_SOCKET",
    "DeviceTables",
    "StationDir",
]

WORLD_SOCKET = Path("run/world.sock")
DIAL_SOCKET = Path("run/network.sock")
HAL_SOCKET = Path("run/hal.sock")
DISPLAYS = Path("run/displays")
"""Where the HAL writes the address of the displays' web pages."""
STATUS_SOCKET = Path("run/status.sock")
ADMINISTRATION_SOCKET = Path("run/administration.sock")
SLOTS = Path("slots")
COMMISSIONING = Path("data/commissioning")
COMMISSIONING_PORT = Path("run/commissioning.json")
PROCESS_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
"""As in the units: the few threads that read slow devices and write to disk need no heap of 1 MB each."""
MESSAGE_LOG = Path("log/messages.jsonl")
"""The OCPP service's (`services/ocpp/message_log/`)."""

DEFAULT_SETTINGS = FactorySettings(
    identity="CP001",
    basic_auth_password="0123456789abcdef",
    network_profile=[NetworkProfile(slot=1, url="ws://127.0.0.1:9000/ocpp")],
)
"""Without a factory file: a station that connects to the bench CSMS on the same machine."""

_PRODUCTS = Path(__file__).resolve().parents[2] / "firmware" / "product"


class StationDir:
    """One station's directory; `open` prepares it and locks it until the process ends."""

    def __init__(
        self, path: Path, settings: FactorySettings, product: Product, log_level: str, *, fresh: bool, lock: int
    ) -> None:
        self.path = path
        self.settings = settings
        self.product = product
        self.fresh = fresh
        """Whether this start has written the factory settings."""
        self._log_level = log_level
        self._lock = lock

    @classmethod
    def open(cls, path: Path, factory_file: Path | None, log_level: str) -> StationDir:
        """Prepare and lock the directory; an empty one becomes a new station. Raises `ConfigError`."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _take_lock(path)
            for name in ("etc", "run", "data", "log"):
                (path / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{error.filename or path}: {error.strerror}") from error
        try:
            return cls._filled(path, factory_file, log_level, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def _filled(cls, path: Path, factory_file: Path | None, log_level: str, lock: int) -> StationDir:
        kept = path / "station.toml"
        fresh = not kept.exists()
        if fresh:
            settings = DEFAULT_SETTINGS if factory_file is None else _read_factory_file(factory_file)
            _write(kept, to_toml(msgspec.to_builtins(settings)))
        settings = load(kept, FactorySettings)
        _refuse_unknown(settings, kept if factory_file is None or not fresh else factory_file)
        product = _product(settings)
        _write(path / "etc" / "ocpp.toml", to_toml(_ocpp_settings(log_level)))
        page = _commissioning_settings(settings.commissioning.port or 0, log_level)
        _write(path / "etc" / "commissioning.toml", to_toml(page))
        station = cls(path, settings, product, log_level, fresh=fresh, lock=lock)
        station.write_hal_settings(SimulatedTables(displays=settings.rig.displays))
        return station

    def write_hal_settings(self, tables: DeviceTables) -> None:
        """Write `etc/hal.toml`, which names the devices; raises `ConfigError`."""
        _write(
            self.path / "etc" / "hal.toml",
            to_toml(_hal_settings(self.product, tables, self._log_level)),
        )

    def clear_sockets(self) -> None:
        """Remove the sockets of the previous boot: the rig would take them for those of the processes to come."""
        for name in (HAL_SOCKET, STATUS_SOCKET, ADMINISTRATION_SOCKET):
            (self.path / name).unlink(missing_ok=True)

    def release(self) -> None:
        """Unlock the directory, as the end of the process does."""
        os.close(self._lock)

    def forget_settings(self) -> None:
        """Remove unusable factory settings: the next start may bring others."""
        (self.path / "station.toml").unlink(missing_ok=True)


def _take_lock(path: Path) -> int:
    lock = os.open(path / "rig.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(f"{path}: another rig uses this directory") from error
    return lock


def _read_factory_file(path: Path) -> FactorySettings:
    """The settings with every path absolute: relative ones are relative to the file."""
    settings = load(path, FactorySettings)
    base = path.resolve().parent
    files = settings.certificates
    own = {"station_chain": files.station_chain, "station_key": files.station_key}
    absolute = msgspec.structs.replace(
        files,
        csms_root=[_existing(base / name, path, "csms_root") for name in files.csms_root],
        manufacturer_root=[_existing(base / name, path, "manufacturer_root") for name in files.manufacturer_root],
        **{name: _existing(base / given, path, name) for name, given in own.items() if given is not None},
    )
    product = settings.product
    if not _is_product_name(product):
        product = _existing(base / product, path, "product")
    settings = msgspec.structs.replace(settings, certificates=absolute, product=product)
    _refuse_unknown(settings, path)
    _refuse_wrong_values(settings, path)
    return settings


def _refuse_wrong_values(settings: FactorySettings, where: Path) -> None:
    """Check what the OCPP service would reject, before any process is started; each check imports what it needs."""
    from firmware import product
    from services.ocpp import first_start
    from services.ocpp.device_model.build import apply_factory, build

    given = product.load(settings.product)
    variables = {each.address.folded(): each for each in build(given)}
    apply_factory(variables, settings.variable, str(where))
    first_start.check(settings, given, variables, str(where))
    if settings.certificates != CertificateFiles():
        _refuse_certificates(settings.certificates, given.limits, where)


def _refuse_certificates(files: CertificateFiles, limits: Limits, where: Path) -> None:
    """Install them in a temporary folder, as the service will install them."""
    from services.ocpp.certificates import factory
    from services.ocpp.certificates.store import CertificateStore

    with TemporaryDirectory() as folder:
        trial = CertificateStore(
            Path(folder), entries=limits.certificate_entries, chain_bytes=limits.certificate_chain_bytes
        )
        try:
            factory.install(trial, files)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def _is_product_name(product: str) -> bool:
    return "/" not in product and not product.endswith(".toml")


def _existing(file: Path, where: Path, key: str) -> str:
    if not file.is_file():
        raise ConfigError(f"{where}: {key}: no file {file}")
    return str(file)


def _refuse_unknown(settings: FactorySettings, where: Path) -> None:
    if _is_product_name(settings.product) and not (_PRODUCTS / f"{settings.product}.toml").is_file():
        known = ", ".join(sorted(file.stem for file in _PRODUCTS.glob("*.toml")))
        raise ConfigError(f"{where}: product: no product {settings.product!r}; there are {known or 'none'}")
    slots = [profile.slot for profile in settings.network_profile]
    if len(set(slots)) < len(slots):
        raise ConfigError(f"{where}: network_profile: two profiles have the same slot")


def _product(settings: FactorySettings) -> Product:
    from firmware import product

    return product.load(settings.product)


class DeviceTables(Protocol):
    """The tables of devices in the HAL's settings."""

    def buses(self) -> dict[str, dict[str, Any]]: ...

    def station(self) -> dict[str, dict[str, Any]]: ...

    def evse(self, number: int) -> dict[str, dict[str, Any]]: ...

    def screen(self, number: int) -> dict[str, Any]: ...


def web_displays(address_file: Path) -> dict[str, Any]:
    """The bus of displays that are web pages."""
    return {"driver": "kiosk", "port": 0, "address_file": str(address_file)}


class SimulatedTables:
    """Simulated drivers for every port, all on the bus to the world; with `displays` also web pages."""

    def __init__(self, *, displays: bool) -> None:
        self._displays = displays

    def buses(self) -> dict[str, dict[str, Any]]:
        return {"displays": web_displays(DISPLAYS)} if self._displays else {}

    def station(self) -> dict[str, dict[str, Any]]:
        ports = {port: _simulated() for port in ("shelf", "inputs", "links", "board", "card_reader")}
        return {**ports, "links": {**_simulated(), "settings_file": "data/network.json"}}

    def evse(self, number: int) -> dict[str, dict[str, Any]]:
        return {port: _simulated() for port in ("meter", "insulation", "contactor", "vehicle")}

    def screen(self, number: int) -> dict[str, Any]:
        return _simulated() | ({"server": "displays"} if self._displays else {})


def _hal_settings(product: Product, tables: DeviceTables, log_level: str) -> dict[str, Any]:
    """Every port of the product."""
    hardware = product.hardware
    station = tables.station()
    if not hardware.rfid_readers:
        del station["card_reader"]
    return {
        "socket": str(HAL_SOCKET),
        "log_level": log_level,
        "log_file": "log/hal.log",
        "meters": "data/meters.json",
        "site_limit": "data/site_limit.json",
        "max_power_w": float(hardware.max_power_w),
        "bus": {
            "world": {"driver": "simulated", "path": str(WORLD_SOCKET)},
            **tables.buses(),
        },
        **station,
        "evse": [{**_evse_settings(each), **tables.evse(each.id)} for each in hardware.evse],
        "screen": [
            {"screen": each.id, "evse": each.id, **tables.screen(each.id)}
            for each in hardware.evse[: hardware.displays]
        ],
    }


def _evse_settings(evse: Evse) -> dict[str, Any]:
    connector = evse.connector[0]
    return {
        "evse": evse.id,
        "connector": connector.id,
        "max_voltage_v": float(connector.max_voltage_v),
        "min_voltage_v": float(connector.min_voltage_v),
        "max_current_a": float(connector.max_current_a),
        "max_power_w": float(evse.max_power_w),
    }


def _simulated() -> dict[str, Any]:
    return {"driver": "simulated", "bus": "world"}


def _ocpp_settings(log_level: str) -> dict[str, Any]:
    return {
        "factory": "station.toml",
        "database": "data/station.db",
        "certificates": "data/certificates",
        "hal_socket": str(HAL_SOCKET),
        "status_socket": str(STATUS_SOCKET),
        "administration_socket": str(ADMINISTRATION_SOCKET),
        "administration_group": "",
        "slots": {"driver": "simulated", "path": str(SLOTS)},
        "images": "data/firmware",
        "log_level": log_level,
        "log_file": "log/ocpp.log",
    }


def _commissioning_settings(port: int, log_level: str) -> dict[str, Any]:
    """On the loopback: only this machine can reach a simulated station."""
    return {
        "state": str(COMMISSIONING),
        "factory": "station.toml",
        "host": "127.0.0.1",
        "port": port,
        "port_file": str(COMMISSIONING_PORT),
        "hal_socket": str(HAL_SOCKET),
        "status_socket": str(STATUS_SOCKET),
        "administration_socket": str(ADMINISTRATION_SOCKET),
        "log_level": log_level,
        "log_file": "log/commissioning.log",
        "logs": {name: f"log/{name}.log" for name in ("hal", "ocpp", "commissioning")},
    }


def _write(path: Path, text: str) -> None:
    """Atomically, readable by this user only: there are passwords in it."""
    try:
        files.replace(path, text.encode(), durable=False)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
