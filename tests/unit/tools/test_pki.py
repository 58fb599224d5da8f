# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tools.pki import Authority, server_context


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
