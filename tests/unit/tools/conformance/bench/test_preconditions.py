# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from firmware.config import load
from firmware.factory_settings import FactorySettings
from tools.conformance.bench.control import Control, ControlError
from tools.conformance.bench.preconditions import BASE_VARIABLES, Preconditions, VariableRef, factory_toml, variable_ref
from tools.conformance.bench.station import AttachedRig, OwnRig, RealStation
from tools.conformance.checks.expected import CaseFailed, CaseSkipped
from tools.pki import Authority, server_context


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("TxCtrlr.TxStartPoint", VariableRef("TxCtrlr", "TxStartPoint")),
        ("A.B[i]", VariableRef("A", "B", "i")),
        ("A[c].B", VariableRef("A", "B", component_instance="c")),
        ("EVSE@1.Power", VariableRef("EVSE", "Power", evse=1)),
        ("Connector@2/1.Available", VariableRef("Connector", "Available", evse=2, connector=1)),
    ],
)
def test_variables_are_written_in_one_line(text: str, ref: VariableRef) -> None:
    assert variable_ref(text) == ref


def test_a_variable_names_itself_in_a_message() -> None:
    assert variable_ref("Connector@2/1.Available").payload() == {
        "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
        "variable": {"name": "Available"},
    }
    assert variable_ref("A[c].B[i]").payload()["variable"] == {"name": "B", "instance": "i"}


def test_the_factory_file_is_one_that_the_station_reads(tmp_path: Path) -> None:
    name = "OCPPCommCtrlr.MessageAttempts[TransactionEvent]"
    preconditions = Preconditions(variables={name: "2"}, mutability={name: "ReadOnly"}, security_profile=2, speed=3.0)
    text = factory_toml(
        preconditions,
        identity="CP001",
        product="c7am-400-cc",
        password="0123456789abcdef",
        url="wss://localhost:9000/ocpp",
        certificates={"csms_root": ["root.pem"], "station_chain": "chain.pem"},
    )
    (tmp_path / "station.toml").write_text(text)
    settings = load(tmp_path / "station.toml", FactorySettings)
    assert settings.network_profile[0].security_profile == 2
    assert settings.certificates.csms_root == ["root.pem"]
    assert settings.rig.speed == 3.0
    assert len(settings.variable) == len(BASE_VARIABLES) + 1
    last = settings.variable[-1]
    assert (last.component, last.instance, last.value, last.mutability) == (
        "OCPPCommCtrlr",
        "TransactionEvent",
        "2",
        "ReadOnly",
    )


async def test_the_certificates_make_a_tls_connection(tmp_path: Path) -> None:
    import ssl

    root, stranger = Authority("root"), Authority("stranger")

    async def handler(connection: ServerConnection) -> None:
        await connection.send("hello")

    context = server_context(root.server(), tmp_path)
    async with serve(handler, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        good = ssl.create_default_context(cadata=root.pem)
        async with connect(f"wss://localhost:{port}", ssl=good) as client:
            assert await client.recv() == "hello"
        bad = ssl.create_default_context(cadata=stranger.pem)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"wss://localhost:{port}", ssl=bad)


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c") / "c.sock"


async def serve_control(path: Path) -> asyncio.Server:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            ask = json.loads(line)
            writer.write(b'{"event": "booted", "t": 1.0}\n')
            answer: dict[str, Any] = {"id": ask["id"], "ok": ask["op"] != "plug_in"}
            if not answer["ok"]:
                answer |= {"error": "refused", "detail": "EVSE 1 already has a car"}
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    return await asyncio.start_unix_server(client, str(path))


async def test_the_control_socket_answers_between_events(socket_path: Path) -> None:
    async with await serve_control(socket_path):
        control = await Control.connect(socket_path)
        assert (await control.op("state"))["ok"]
        with pytest.raises(ControlError, match="already has a car") as caught:
            await control.op("plug_in", evse=1)
        assert caught.value.code == "refused"
        await control.close()


async def test_an_attached_rig_does_what_its_control_socket_does(socket_path: Path) -> None:
    async with await serve_control(socket_path):
        rig = AttachedRig(socket_path)
        await rig.start(None, power=True)
        assert (await rig.manual("power_cycle"))["ok"]
        await rig.stop()


async def test_a_rig_that_does_not_start_says_why(tmp_path: Path) -> None:
    rig = OwnRig(tmp_path)
    with pytest.raises(CaseFailed, match=r"the rig did not start: .*identity"):
        await rig.start("identity = 7\n", power=True)
    await rig.stop()


async def test_a_person_is_asked_and_may_say_no() -> None:
    asked: list[str] = []
    answers = ["", "n"]

    async def ask(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    person = RealStation(ask)
    await person.manual("plug_in", evse=2)
    assert "Plug the cable of EVSE 2 into the car." in asked[0]
    with pytest.raises(CaseSkipped, match="car is not possible"):
        await person.manual("car", evse=1, suspended=True)
    with pytest.raises(CaseSkipped, match="only be done on a rig"):
        await person.manual("storage", full=True)


async def test_lines_typed_ahead_are_answers_and_the_end_of_input_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"\nn\n")
    os.close(writer)
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        person = RealStation()
        await person.manual("plug_in", evse=2)
        with pytest.raises(CaseSkipped, match="is not possible"):
            await person.manual("plug_out", evse=2)
        with pytest.raises(CaseSkipped, match="no person is at the terminal"):
            await person.manual("plug_in", evse=2)
