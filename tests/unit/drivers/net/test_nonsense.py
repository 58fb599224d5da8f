# SPDX-License-Identifier: Apache-2.0
"""Whatever the daemons report, it is a modem, a device, or nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.net import devices as nm
from drivers.net.links import condition_of
from drivers.net.modem import MODEM, find_modem
from drivers.net.objects import MAX_OBJECTS, ServiceObjects
from drivers.net.system_bus import SystemBus, SystemBusOptions

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 101) | st.floats() | st.text(max_size=3) | st.just("/a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Lte", "rsrp", "rsrq"]), inner),
    max_leaves=6,
)
NAMES = """State StateFailedReason SignalQuality Ports OperatorName Lte Nr5g Interface IpInterface Udi DeviceType
    Devices ActiveConnection AvailableConnections Ip4Connectivity PrimaryConnection Startup Connection"""
PROPERTIES = st.dictionaries(st.sampled_from(NAMES.split()), VALUES)
INTERFACES = st.sampled_from([MODEM, f"{MODEM}.Modem3gpp", f"{MODEM}.Signal", *nm.INTERFACES])
PATHS = st.sampled_from(["/a", "/b", nm.MANAGER_PATH])
OBJECTS = st.dictionaries(PATHS, st.dictionaries(INTERFACES, PROPERTIES))


@settings(max_examples=60, deadline=None)
@given(OBJECTS)
def test_objects_of_any_kind(objects: dict[str, Any]) -> None:
    modem = find_modem(objects)
    found = nm.devices(objects)
    nm.default_device(objects, found)
    nm.is_starting(objects)
    condition_of(modem, found[0] if found else None)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            PATHS,
            st.sampled_from(["org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties", "other"]),
            st.sampled_from(["InterfacesAdded", "InterfacesRemoved", "PropertiesChanged", "other"]),
            st.lists(PATHS | INTERFACES | OBJECTS | PROPERTIES | st.lists(INTERFACES | VALUES), max_size=4),
        )
    )
)
def test_signals_of_any_kind(signals: list[tuple[str, str, str, list[Any]]]) -> None:
    bus = SystemBus(SystemBusOptions())
    objects = ServiceObjects(bus, "a.b", root="/", interfaces=nm.INTERFACES, changed=lambda: None)
    objects.present = True
    for signal in signals:
        objects.on_signal(*signal)
    assert len(objects.objects) <= MAX_OBJECTS
    nm.devices(objects.objects)
