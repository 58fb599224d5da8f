# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from drivers.modbus.register_map import MAPS, RegisterMap, SerialNumber, Values, load_map
from firmware.errors import ConfigError

EASTRON = """
name = "Eastron"
function = 4
blocks = [[0x0000, 4], [0x0048, 2]]
[voltage]
address = 0x0000
type = "f32"
[current]
address = 0x0002
type = "f32"
[energy]
address = 0x0048
type = "f32"
unit = "kWh"
resolution_wh = 1.0
"""


def read(layout: RegisterMap, blocks: dict[int, str]) -> dict[str, float]:
    """The values of registers in hex, by their first address."""
    values = Values(layout)
    for first, words in blocks.items():
        values.add(first, tuple(int(word, 16) for word in words.split()))
    return {name: values.value(quantity) for name, quantity in layout.quantities().items()}


def test_acrel_has_registers_for_its_decimal_points() -> None:
    block = "1FBB 0002 04D2 0002 0000 0019 0000 0000 03EA 0005 0000 0000 000F 1206 0000 0000 0001 01F4 0000 0000"
    found = read(load_map("acrel-djsf1352-rn"), {0: block})
    assert found == {
        "voltage": pytest.approx(812.3),
        "current": pytest.approx(123.4),
        "power": pytest.approx(100_200),
        "energy": 987_654,
    }


def test_acrel_current_has_a_sign() -> None:
    block = "0000 0002 FF9C 0002 0000 0019 0000 0000 FFFF 0003 0000 0000 FFFF FFFF 0000 0000 0001 01F4 0000 0000"
    found = read(load_map("acrel-djsf1352-rn"), {0: block})
    assert (found["current"], found["power"]) == pytest.approx((-10.0, -1.0))
    assert found["energy"] == 0xFFFFFFFF


def test_gavazzi_has_the_low_word_first() -> None:
    found = read(load_map("carlo-gavazzi-et112"), {0: "1FBB 0000 E208 0001 4BA0 000F", 0x10: "2694 0000"})
    assert found == {
        "voltage": pytest.approx(812.3),
        "current": pytest.approx(123.4),
        "power": pytest.approx(100_240),
        "energy": pytest.approx(987_600),
    }


def test_a_map_of_the_station_with_floats(tmp_path: Path) -> None:
    path = tmp_path / "eastron.toml"
    path.write_text(EASTRON)
    layout = load_map(str(path))
    found = read(layout, {0x00: "444B 1333 42F6 CCCD", 0x48: "4476 E9DB"})
    assert found["voltage"] == pytest.approx(812.3)
    assert found["current"] == pytest.approx(123.4)
    assert found["energy"] == pytest.approx(987_654, rel=1e-6)
    assert layout.energy.step == 1.0


def test_every_map_loads() -> None:
    for path in MAPS.glob("*.toml"):
        assert load_map(path.stem).energy.step


def test_a_decimal_point_that_can_not_be_is_another_model() -> None:
    block = "1FBB 02BC " + "0000 " * 18
    with pytest.raises(ValueError, match="decimal point register 1 reads 700"):
        read(load_map("acrel-djsf1352-rn"), {0: block})


def test_a_serial_number_is_ascii() -> None:
    where = SerialNumber(0x5000, 7)
    assert where.decode((0x4257, 0x3132, 0x3334, 0x3536, 0x3738, 0x3900, 0)) == "BW123456789"[:11]
    assert where.decode((0, 0, 0, 0, 0, 0, 0)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("function = 4", "function = 16"), "function"),
        (("name = ", "model = "), "model"),
        (("address = 0x0048", "address = 0x0049"), "energy: register 73 to 74 is in none of the blocks"),
        (('unit = "kWh"', 'unit = "kW"'), "energy: unit is kW, expected Wh or kWh"),
        (("resolution_wh = 1.0", ""), "energy: resolution_wh is missing"),
        (('type = "f32"', 'type = "float"'), "type"),
        (("[current]", "[amperes]"), "amperes"),
        (("[0x0048, 2]", "[0x0048, 200]"), "blocks"),
        (("[0x0048, 2]", "[0x0048, 4]"), "blocks: two have the same length"),
        (('type = "f32"', 'type = "f32"\ndecimal_point = 9'), "voltage.decimal_point: register 9 to 9 is in none"),
        (('type = "f32"', 'type = "f32"\nscale = 0.0'), "voltage: scale is 0"),
        (('type = "f32"', 'type = "f32"\nresolution_wh = 1.0'), "voltage: resolution_wh is for energy only"),
    ],
)
def test_a_mistake_in_a_map_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(EASTRON.replace(*change, 1))
    with pytest.raises(ConfigError, match=says) as caught:
        load_map(str(path))
    assert str(path) in str(caught.value)


def test_an_unknown_map_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected acrel-djsf1352-rn, carlo-gavazzi-et112 or the path"):
        load_map("acrel")
