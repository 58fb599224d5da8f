# SPDX-License-Identifier: Apache-2.0
"""`baywatt cockpit`: a page of a running rig, on which a person is its EV driver, its car and its weather.

    cli.py       the command
    server.py    the page's files, and a WebSocket between browser and control socket
    page/        plain modules; the displays are painted by drivers/screen/page, as on the station

It uses only the rig's control socket, and the message log that `state` names.
"""
