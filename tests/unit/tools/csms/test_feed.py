# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tools.csms.feed import Feed


async def test_readers_get_what_is_published_while_they_listen() -> None:
    feed = Feed()
    feed.publish("early", {})
    with feed.subscribe() as reader:
        feed.publish("station", {"id": "CP001"})
        assert await reader.get() == b'event: station\ndata: {"id":"CP001"}\n\n'
    assert len(feed) == 0


async def test_who_watches_a_station_hears_nothing_of_others() -> None:
    feed = Feed()
    with feed.subscribe("CP001") as one, feed.subscribe() as every:
        feed.publish("message", 1, station="CP002")
        feed.publish("message", 2, station="CP001")
        feed.publish("line", 3)
        line = b"event: line\ndata: 3\n\n"
        assert await one.get() == b"event: message\ndata: 2\n\n" + line
        assert await every.get() == b"event: message\ndata: 1\n\nevent: message\ndata: 2\n\n" + line


async def test_a_slow_reader_has_to_load_everything_again() -> None:
    feed = Feed()
    with feed.subscribe() as reader:
        for number in range(2001):
            feed.publish("n", number)
        assert await reader.get() == b"event: resync\ndata: {}\n\n"


async def test_the_end_reaches_every_reader() -> None:
    feed = Feed()
    with feed.subscribe() as reader:
        feed.publish("n", 1)
        feed.close()
        assert await reader.get() == b"event: n\ndata: 1\n\n"
        assert await reader.get() is None
