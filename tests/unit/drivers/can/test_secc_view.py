# SPDX-License-Identifier: Apache-2.0
"""What a board's frames mean, by literal frames and without a clock."""

from __future__ import annotations

import pytest

from drivers.can.advantics import EmergencyOrigin, decode
from drivers.can.secc_view import BoardView
from hal.ports import Pilot, Vehicle, VehicleStage


class Board:
    """Frames of a board, 100 ms apart."""

    def __init__(self) -> None:
        self.view = BoardView()
        self.now = 100.0
        self.checked = True
        self.waking = False

    def send(self, *frames: str) -> None:
        """Each frame: the number after 6B and its data, such as `000 07`."""
        for frame in frames:
            number, _, data = frame.partition(" ")
            message = decode(0x0106B000 | int(number, 16), bytes.fromhex(data))
            assert message is not None
            self.view.take(message, self.now, waking=self.waking)

    def after(self, seconds: float, *frames: str) -> None:
        self.now += seconds
        self.send(*frames)

    def vehicle(self) -> Vehicle:
        return self.view.report(self.now, checked=self.checked, waking=self.waking, sensors=2)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.mark.parametrize(
    ("state", "stage", "locked"),
    [
        ("00", VehicleStage.NONE, False),
        ("01", VehicleStage.NONE, False),
        ("0C", VehicleStage.NONE, False),
        ("02", VehicleStage.NEGOTIATING, False),
        ("0B", VehicleStage.WAITING_AUTHORISATION, False),
        ("03", VehicleStage.WAITING_AUTHORISATION, False),
        ("04", VehicleStage.CABLE_CHECK, True),
        ("05", VehicleStage.PRECHARGE, True),
        ("06", VehicleStage.CHARGE, True),
        ("07", VehicleStage.CHARGE, True),
        ("08", VehicleStage.STOP, True),
        ("09", VehicleStage.WELDING_DETECTION, True),
        ("0A", VehicleStage.ENDED, False),
        ("0D", VehicleStage.ENDED, False),
    ],
)
def test_each_state_is_a_stage(board: Board, state: str, stage: VehicleStage, locked: bool) -> None:
    board.send("203 06", f"000 {state}")
    assert (board.vehicle().stage, board.vehicle().locked) == (stage, locked)
    assert board.vehicle().mono_s == board.now


def test_cable_check_lasts_until_the_hal_has_finished_it(board: Board) -> None:
    board.checked = False
    board.send("203 06", "000 04", "003 A0 0F 14 00 14 00 02")
    assert (board.vehicle().insulation_test, board.vehicle().target_voltage_v) == (True, 400.0)
    board.send("003 00 00 00 00 00 00 81")
    assert (board.vehicle().insulation_test, board.vehicle().target_voltage_v) == (False, 0.0)
    board.send("000 05", "003 A0 0F 14 00 14 00 44")
    assert board.vehicle().stage is VehicleStage.CABLE_CHECK
    assert board.vehicle().target_current_a == 0.0
    board.checked = True
    assert (board.vehicle().stage, board.vehicle().target_voltage_v) == (VehicleStage.PRECHARGE, 400.0)
    assert board.vehicle().target_current_a == 2.0


def test_current_flows_only_where_state_and_function_agree(board: Board) -> None:
    board.send("203 06", "000 05", "003 A0 0F 14 00 14 00 44", "000 06")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (400.0, 0.0)
    board.send("003 00 00 00 00 00 00 41")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (400.0, 0.0)
    board.send("000 07")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (400.0, 0.0)
    board.send("003 68 10 E7 04 E7 04 48")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (420.0, 125.5)
    board.send("000 08")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (420.0, 0.0)
    board.send("000 09")
    assert (board.vehicle().target_voltage_v, board.vehicle().target_current_a) == (0.0, 0.0)


def test_request_for_a_current_into_the_station_is_none(board: Board) -> None:
    board.send("203 06", "000 07", "003 68 10 00 FF 00 FF 48")
    assert board.vehicle().target_current_a == 0.0


def test_limits_and_charge_of_the_vehicle(board: Board) -> None:
    board.send("000 03", "100 4B 00 14 00 50 64", "101 B8 0B 68 10 D8 0E", "102 00 00 70 17 00 00 FA 00")
    vehicle = board.vehicle()
    assert (vehicle.max_voltage_v, vehicle.max_current_a, vehicle.max_power_w) == (420.0, 600.0, 250_000.0)
    assert vehicle.soc_percent == 20.0
    board.send("100 4B 00 FF 00 50 64")
    assert board.vehicle().soc_percent is None


def test_identity_is_believed_when_it_is_repeated(board: Board) -> None:
    board.send("000 0B", "105 02 BA 77 00 A0 01", "105 02 BA 77 00 A0 01")
    assert board.vehicle().evcc_id is None
    board.after(1.0, "105 02 BA 77 00 A0 02")
    board.after(1.0, "105 02 BA 77 00 A0 01")
    assert board.vehicle().evcc_id is None
    board.after(1.0, "105 02 BA 77 00 A0 01")
    assert board.vehicle().evcc_id == "02BA7700A001"
    board.send("000 01")
    assert board.vehicle().evcc_id == "02BA7700A001"
    board.send("203 0C")
    assert board.vehicle().evcc_id is None


def test_vehicle_that_had_a_session_has_ended_until_it_negotiates_or_leaves(board: Board) -> None:
    board.send("203 09", "000 01")
    assert board.vehicle().stage is VehicleStage.NONE
    board.send("000 02", "000 01")
    assert board.vehicle().stage is VehicleStage.NONE
    board.send("000 02", "000 0B", "000 01")
    assert board.vehicle().stage is VehicleStage.ENDED
    board.send("000 0C")
    assert board.vehicle().stage is VehicleStage.ENDED
    board.send("000 02")
    assert board.vehicle().stage is VehicleStage.NEGOTIATING
    board.send("000 07", "000 01", "203 0C")
    assert board.vehicle().stage is VehicleStage.NONE


@pytest.mark.parametrize(
    ("level", "pilot"), [("0C", Pilot.A), ("09", Pilot.B), ("06", Pilot.C), ("03", Pilot.C), ("00", Pilot.E)]
)
def test_level_of_the_pilot(board: Board, level: str, pilot: Pilot) -> None:
    board.send("000 01")
    board.after(1.0, f"203 {level} E8 03 00 00 00 00 00")
    assert board.vehicle().pilot is pilot


def test_vehicle_that_stops_is_seen_to_stop_before_its_pilot_is_b(board: Board) -> None:
    board.send("203 06", "000 07")
    board.after(0.1, "203 09")
    assert (board.vehicle().pilot, board.vehicle().stage) == (Pilot.C, VehicleStage.CHARGE)
    board.after(0.05, "000 08")
    assert (board.vehicle().pilot, board.vehicle().stage) == (Pilot.B, VehicleStage.STOP)
    board.send("203 06", "000 07")
    board.after(0.1, "203 09")
    board.after(0.05, "000 07")
    assert (board.vehicle().pilot, board.vehicle().stage) == (Pilot.B, VehicleStage.CHARGE)


def test_pilot_that_is_off_out_of_service_is_no_short_circuit(board: Board) -> None:
    board.send("203 00", "000 0C")
    assert board.vehicle().pilot is Pilot.F
    board.after(1.0, "203 00", "000 01")
    assert board.vehicle().pilot is Pilot.F
    board.after(0.4, "203 00")
    assert board.vehicle().pilot is Pilot.E


def test_interrupted_pilot_does_not_mean_that_the_plug_is_out(board: Board) -> None:
    board.send("203 09", "000 0B", "000 01", "105 02 BA 77 00 A0 01")
    board.after(1.0, "105 02 BA 77 00 A0 01")
    board.waking = True
    board.send("203 0C", "000 0C")
    assert (board.vehicle().pilot, board.vehicle().stage) == (Pilot.F, VehicleStage.ENDED)
    assert board.vehicle().evcc_id is not None


@pytest.mark.parametrize(
    ("state", "pilot"),
    [("0C", Pilot.F), ("01", Pilot.A), ("02", Pilot.B), ("03", Pilot.B), ("04", Pilot.C), ("07", Pilot.C)],
)
def test_older_firmware_does_not_report_the_pilot(board: Board, state: str, pilot: Pilot) -> None:
    board.send(f"000 {state}")
    assert board.vehicle().pilot is pilot
    board.after(10.0, f"000 {state}")
    assert not board.view.pilot_lost


def test_pilot_that_is_no_longer_reported_is_lost(board: Board) -> None:
    board.send("203 06", "000 07")
    board.after(0.4, "000 07")
    assert not board.view.pilot_lost
    board.after(0.2, "000 07")
    assert board.view.pilot_lost


def test_emergency_stop_ends_the_session_while_it_lasts(board: Board) -> None:
    board.send("203 06", "000 07", "003 68 10 E7 04 E7 04 48", "005 03")
    assert board.view.stopped(board.now) is EmergencyOrigin.VEHICLE
    assert (board.vehicle().stage, board.vehicle().target_current_a) == (VehicleStage.ENDED, 0.0)
    board.after(0.1, "005 01")
    assert board.view.stopped(board.now) is EmergencyOrigin.STATION
    board.after(0.4)
    assert board.view.stopped(board.now) is None


def test_sensors_of_the_plug(board: Board) -> None:
    assert board.vehicle().plug_temps_c == (None, None)
    board.send("201 00 00 00 00 00 55 52 00")
    assert board.vehicle().plug_temps_c == (42.0, None)
    board.after(3.1)
    assert board.vehicle().plug_temps_c == (None, None)
    board.send("201 00 00 00 00 00 55 A0 FF")
    assert board.view.report(board.now, checked=True, waking=False, sensors=1).plug_temps_c == (120.0,)


def test_two_boards_of_one_index_are_found_by_their_number_of_frames(board: Board) -> None:
    for _ in range(100):
        board.after(0.1, "000 01")
    assert not board.view.too_many
    for _ in range(50):
        board.after(0.1, "000 01", "000 07")
    assert board.view.too_many
    for _ in range(20):
        board.after(0.1, "000 01")
    assert not board.view.too_many


def test_a_board_that_babbles_is_found_at_once(board: Board) -> None:
    board.after(0.1, *["000 01", "000 07"] * 60)
    assert board.view.too_many
    for _ in range(40):
        board.after(0.1, "000 01")
    assert not board.view.too_many


def test_frames_that_have_waited_are_not_too_many(board: Board) -> None:
    for _ in range(3):
        board.after(1.5, *["000 01"] * 40)
        for _ in range(10):
            board.after(0.1, "000 01")
    assert not board.view.too_many
