# SPDX-License-Identifier: Apache-2.0
"""Messages followed live, and the diagnostics archive as a download."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from firmware.contract.administration import Bundle, Chunk, FollowMessages, MakeBundle, Problem, ReadBundle
from firmware.ipc.administration import CommandRefused
from services.ocpp.administration.bundle import CHUNK_BYTES
from services.ocpp.administration.live_messages import last_written
from tests.support.administration import Site
from tests.support.sockets import eventually
from tests.support.station_bench import set_variables

CARD = "04A1B2C3D4E580"
PASSWORD = "a-new-password-of-24-chr"


def call(action: str, payload: Any, number: int = 1) -> str:
    return json.dumps([2, f"id-{number}", action, payload])


async def test_messages_in_memory_come_first_and_answers_have_their_action(site: Site) -> None:
    messages = site.shell.messages
    messages.sent(call("Heartbeat", {}))
    await site.link.ask(FollowMessages())
    messages.received(json.dumps([3, "id-1", {"currentTime": "2027-01-15T08:00:00Z"}]))
    messages.disconnected("closed by the CSMS")
    await eventually(lambda: len(site.heard.lines) == 3)
    first, second, third = site.heard.lines
    assert (first["type"], first["direction"], first["action"]) == ("CALL", "out", "Heartbeat")
    assert (second["type"], second["direction"], second["action"]) == ("CALLRESULT", "in", "Heartbeat")
    assert third["type"] == "DISCONNECTED"


async def test_what_is_written_comes_before_what_is_in_memory(site: Site) -> None:
    messages = site.shell.messages
    older, newer = messages.paths
    newer.parent.mkdir(exist_ok=True)
    older.write_bytes(b'{"type": "first"}\n' + b'{"type": "older"}\n')
    newer.write_bytes(b'{"type": "newer"}\nnonsense\n[1]\n{"half": ')
    messages.sent(call("Heartbeat", {}))
    await site.link.ask(FollowMessages())
    await eventually(lambda: len(site.heard.lines) == 4)
    assert [line["type"] for line in site.heard.lines] == ["first", "older", "newer", "CALL"]


def test_of_much_that_is_written_the_last_is_sent(tmp_path: Path) -> None:
    lines = [b'{"number": %d}' % number for number in range(50_000)]
    (tmp_path / "log").write_bytes(b"\n".join(lines) + b"\n")
    found = last_written([tmp_path / "missing", tmp_path / "log"])
    assert found == lines[-len(found) :]
    assert 5_000 < len(found) < 50_000


async def test_secrets_and_cards_are_not_shown(site: Site) -> None:
    await site.link.ask(FollowMessages())
    site.shell.messages.received(call("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", PASSWORD)))
    site.shell.messages.sent(call("Authorize", {"idToken": {"idToken": CARD, "type": "ISO14443"}}, 2))
    await eventually(lambda: len(site.heard.lines) == 2)
    assert PASSWORD not in str(site.heard.lines)
    assert CARD not in str(site.heard.lines)


async def test_a_message_that_is_too_long_comes_without_its_payload(site: Site) -> None:
    await site.link.ask(FollowMessages())
    text = "é\n" * 16_000
    site.shell.messages.received(call("DataTransfer", {"vendorId": "x", "data": text}))
    await eventually(lambda: site.heard.lines)
    (line,) = site.heard.lines
    assert "payload" not in line
    assert "too large" in line["text"]


async def test_who_has_left_is_followed_no_longer(site: Site) -> None:
    peer = await site.raw()
    peer.say(kind="request", id=1, command={"kind": "follow_messages"})
    assert (await peer.hear())["kind"] == "done"
    await peer.close()
    await eventually(lambda: site.server.clients == 1)
    assert site.shell.messages._followers == ()
    site.shell.messages.sent(call("Heartbeat", {}))


async def download(site: Site) -> tuple[Bundle, bytes]:
    bundle = await site.link.ask_for(MakeBundle(), Bundle)
    data = b""
    last = False
    while not last:
        chunk = await site.link.ask_for(ReadBundle(len(data)), Chunk)
        data += chunk.data
        last = chunk.last
    return bundle, data


async def test_the_bundle_arrives_whole_and_is_removed(site: Site) -> None:
    await site.set("SecurityCtrlr", "BasicAuthPassword", PASSWORD)
    site.shell.messages.disconnected("closed by the CSMS")
    bundle, data = await download(site)
    assert bundle.name.startswith("diagnostics-CP001-2027")
    assert len(data) == bundle.size
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        texts = [file.read().decode() for name in names if (file := archive.extractfile(name))]
    assert {"inventory.json", "versions.json", "state.json", "log/messages.jsonl"} <= set(names)
    assert not any(PASSWORD in text for text in texts)
    assert not bundle_file(site).exists()
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(ReadBundle(0))
    assert caught.value.problem is Problem.NOT_FOUND


def bundle_file(site: Site) -> Path:
    return site.bench.directory / "bundle" / "bundle.tar.gz"


async def test_a_bundle_is_for_us_alone_and_is_removed_with_its_client(site: Site) -> None:
    peer = await site.raw()
    peer.say(kind="request", id=1, command={"kind": "make_bundle"})
    assert (await peer.hear())["result"]["kind"] == "bundle"
    assert bundle_file(site).stat().st_mode & 0o077 == 0
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(MakeBundle())
    assert caught.value.problem is Problem.BUSY
    with pytest.raises(CommandRefused):
        await site.link.ask(ReadBundle(0))
    await peer.close()
    await eventually(lambda: not bundle_file(site).exists())
    await download(site)


async def test_every_chunk_fits_into_a_line(site: Site) -> None:
    await site.link.ask(MakeBundle())
    bundle_file(site).write_bytes(bytes(range(256)) * 1024)
    chunk = await site.link.ask_for(ReadBundle(0), Chunk)
    assert (len(chunk.data), chunk.last) == (CHUNK_BYTES, False)
    assert (await site.link.ask_for(ReadBundle(256 * 1024), Chunk)) == Chunk(b"", last=True)


@pytest.mark.parametrize("offset", [-1, 10**12])
async def test_an_impossible_offset_is_refused(site: Site, offset: int) -> None:
    await site.link.ask(MakeBundle())
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(ReadBundle(offset))
    assert caught.value.problem is Problem.BAD_REQUEST


async def test_a_full_disk_is_said_and_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site.shell.bundles, "_pack", full)
    with pytest.raises(CommandRefused, match="No space left") as caught:
        await site.link.ask(MakeBundle())
    assert caught.value.problem is Problem.STORAGE
    monkeypatch.undo()
    await download(site)
