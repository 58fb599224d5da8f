# SPDX-License-Identifier: Apache-2.0
"""What mends each cause that a connection test can meet; `docs/connection-failures.md` says more."""

from __future__ import annotations

from typing import Final

from services.ocpp.no_connection import Cause

__all__ = ["REMEDIES"]

REMEDIES: Final = {
    Cause.NO_PASSWORD: "Set the password that the CSMS has for this identity (SecurityCtrlr.BasicAuthPassword).",
    Cause.SCHEME: "Use ws:// with security profile 0 or 1, wss:// with 2 or 3.",
    Cause.NO_CERTIFICATE: "Install the root certificate of the CSMS; for security profile 3 also a certificate of the"
    " station.",
    Cause.BAD_URL: "Correct the URL: ws:// or wss://, a host, and a port from 1 to 65535.",
    Cause.LINK_DOWN: "Check the cable, or the SIM card and the reception, or choose another network interface.",
    Cause.NAME: "Check the spelling of the host in the URL, and that the site's name server knows it.",
    Cause.PORT_CLOSED: "Check the port in the URL, and that the CSMS runs; a firewall may refuse the connection.",
    Cause.NO_ROUTE: "Check the station's address, gateway and routes, and the firewall of the site.",
    Cause.NO_ANSWER: "Check the host and port in the URL, and whether a firewall drops the connection.",
    Cause.CSMS_CERTIFICATE: "Unknown issuer: install the root certificate of the CSMS. Other name: use the name of the"
    " certificate in the URL. Expired or not yet valid: check the station's clock, or renew it at the CSMS.",
    Cause.TLS_VERSION: "Allow TLS 1.2 or 1.3 at the CSMS.",
    Cause.TLS_SUITES: "Allow one of the cipher suites in the text at the CSMS.",
    Cause.TLS_ALERT: "The CSMS needs the authority that has issued the station's certificate, or wants none at all:"
    " compare the security profile with the CSMS.",
    Cause.TLS_CLOSED: "Look into the log of the CSMS; check that the port is one for TLS, and that the CSMS accepts the"
    " station's certificate.",
    Cause.TLS_FAILED: "Check that the port is one for TLS (wss://); with ws:// use security profile 0 or 1.",
    Cause.CREDENTIALS: "Compare identity and password, or with security profile 3 the certificate, with the CSMS's.",
    Cause.REDIRECT: "Use the address in the text as URL, without the identity at its end.",
    Cause.HTTP_STATUS: "404: check the path of the URL, to which the identity is added, and that the CSMS knows the"
    " identity. 5xx: the CSMS is in trouble; try again later.",
    Cause.NOT_WEBSOCKET: "Check host, port and path: another service answers there, or a proxy does not let WebSocket"
    " pass.",
    Cause.SUBPROTOCOL: "Use the path or port at which the CSMS speaks OCPP 2.0.1.",
    Cause.CLOSED_IN_HANDSHAKE: "Look into the log of the CSMS; with security profile 3 it may refuse the station's"
    " certificate.",
    Cause.CLOSED: "Look into the log of the CSMS: it has ended the connection.",
    Cause.BROKEN: "Try again; if it stays so, look into the log of the CSMS and of proxies before it.",
    Cause.REJECTED: "Register the station at the CSMS: identity, serial number, model.",
    Cause.PENDING: "Nothing is wrong at the station: accept it at the CSMS.",
    Cause.NOT_REGISTERED: "Look into the log of the CSMS: it did not answer the registration as OCPP 2.0.1 says.",
}
