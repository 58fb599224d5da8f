# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS: a small OCPP 2.0.1 back office for the engineer who has a charger on the table.

One port serves the stations (`/ocpp/<identity>`), a live page (`/`) and a JSON API (`/api/...`); for security profiles
2 and 3 stations have a second port, with TLS. There are no accounts, so by default it listens on the loopback interface
only, and it is not a product.

    settings.py            the settings of one bench
    metering.py            sampled values -> readings in Wh, W, V, A and percent
    transaction_audit.py   one transaction from its events: sequence numbers, energy, power and state of charge
    ca.py                  the bench's certificate authority, and that of the stations' manufacturer
    known_certificates.py  whose a certificate is that a station names by its hash
    device_model.py        the device models that stations have reported
    tls.py                 TLS of the bench's side, and what a connection uses of it
    views.py               what the API shows of a station and of a message
    faults.py              the faults of a station, from its NotifyEvent requests
    commits.py             one commit of the database for many messages
    store.py               SQLite: messages, tokens, transactions and stations, all bounded
    back_office.py         the state of the stations and the decisions about them; publishes changes to the feed
    feed.py                sends changes to the open pages
    admission.py           which requests of a station are handled
    rpc.py                 one connection: frames checked and logged, requests sent one at a time
    station.py             the handlers, one for every request that a station may send
    server.py              the ports: WebSocket, page, access control
    files.py               a folder for firmware and logs, over HTTPS and FTP
    file_access.py         their ports and password, kept between starts
    api.py                 the JSON API
    station_api.py         the part of it about a station's device model and certificates
    export.py              messages and transactions as files
    file_api.py            the part of it about files and firmware
    client.py              the client of the API
    procedures.py          what takes several requests: a firmware update, a step up in security
    cli.py                 the command line
    page/                  the page: plain modules, nothing loaded from elsewhere
    templates.json         templates of requests
"""
