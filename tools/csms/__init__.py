# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS: a small OCPP 2.0.1 back office for the engineer who has a charger on the table.

One port serves the stations (`/ocpp/<identity>`), a live page (`/`) and a JSON API (`/api/...`); for security profiles
2 and 3 stations have a second one, with TLS. It has no accounts, therefore it listens on the loopback interface unless
told otherwise, and it is not a product.

    settings.py   how one bench is set up
    metering.py   sampled values -> readings in Wh, W, V, A and percent
    transaction_audit.py   one transaction as its events tell it: sequence numbers, energy, power and state of charge
    ca.py         the bench's own authority, and the manufacturer of its stations
    tls.py        TLS of the bench's side, and what a connection has of it
    views.py   what is kept of a station
    store.py      SQLite: messages, tokens, transactions and stations, all bounded
    back_office.py   what the back office knows and decides; tells the feed what changed
    feed.py       fan-out to the open pages
    rpc.py        one connection: matching of answers, one request at a time, answers to broken frames
    station.py    the handlers, one for every request that a station may send
    server.py     the ports: WebSocket, page, safety of the browser's side, who may come in
    files.py      the folder for firmware and logs, over HTTPS and FTP
    api.py        the JSON API
    file_api.py   its part about files and firmware
    client.py     the same API from the other side
    procedures.py   what takes several requests: a firmware update, a step up in security
    cli.py        the command line
    page/         the page: plain modules, nothing from elsewhere
    templates.json   requests to begin from
"""
