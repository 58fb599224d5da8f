# SPDX-License-Identifier: Apache-2.0
"""From the error of a failed attempt to connect to its cause.

What the libraries raise differs with their versions and with the moment; the causes are a closed list
(`services/ocpp/no_connection.py`).
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI, NegotiationError

from services.ocpp.csms.tls import CertificateRefused, offered_suites
from services.ocpp.no_connection import Cause, peer_text, plain

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile

__all__ = ["DialError", "diagnose"]

# OpenSSL's errors when the CSMS offers only old versions (A00.FR.316) or only weak suites (A00.FR.323).
_VERSION_ERRORS: Final = (
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "WRONG_SSL_VERSION",
    "VERSION_TOO_LOW",
)
_CIPHER_ERRORS: Final = (
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    "WRONG_CIPHER_RETURNED",
    "UNKNOWN_CIPHER_RETURNED",
    "NO_CIPHERS_AVAILABLE",
)
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
_ENDED: Final = ("UNEXPECTED_EOF_WHILE_READING",)
_MAX_CERTIFICATE_CHARS: Final = 300
_ERRNO: Final = r"\[Errno (\d+)\]"


class DialError(Exception):
    """The attempt failed; the link catches this."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause.name}: {detail}")
        self.cause = cause
        self.detail = detail


def diagnose(
    error: Exception, profile: NetworkProfile, tls: ssl.SSLContext | None, *, open_timeout_s: float
) -> DialError:
    """The cause of an error of the attempt with `profile`. `tls`: the context of the attempt, for security profiles 2
    and 3; `open_timeout_s`: after which it was abandoned."""
    match error:
        case ssl.SSLError():
            return _tls_failure(error, tls)
        case socket.gaierror():
            return DialError(Cause.NAME, plain(_words(error)))
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError() if tls is not None:
            return DialError(Cause.TLS_CLOSED)
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return DialError(Cause.CLOSED_IN_HANDSHAKE)
        case OSError():
            return _not_reached(error, open_timeout_s)
        case InvalidStatus():
            return _refused(error)
        case InvalidMessage() if isinstance(error.__cause__, EOFError):
            # With TLS 1.3, that is how a CSMS without alerts refuses a client certificate.
            hint = "; it may have refused this station's certificate" if profile.security_profile == 3 else ""
            return DialError(Cause.CLOSED_IN_HANDSHAKE, hint)
        case NegotiationError() if "subprotocol" in str(error):
            return DialError(Cause.SUBPROTOCOL, peer_text(str(error)))
        case InvalidURI():
            return DialError(Cause.BAD_URL, plain(error.msg))
        case InvalidHandshake():
            return DialError(Cause.NOT_WEBSOCKET, peer_text(_words(error.__cause__ or error)))
        case _:
            return DialError(Cause.BAD_URL, plain(_words(error)))


def _not_reached(error: OSError, open_timeout_s: float) -> DialError:
    """When each address of a name has failed, asyncio gives the text of the errors alone. The one that comes closest
    to a connection counts."""
    numbers = {error.errno} if error.errno is not None else set(map(int, re.findall(_ERRNO, str(error))))
    if errno.ECONNREFUSED in numbers:
        return DialError(Cause.PORT_CLOSED)
    if isinstance(error, TimeoutError) or errno.ETIMEDOUT in numbers:
        return DialError(Cause.NO_ANSWER, f"{open_timeout_s:g} s")
    number = min(numbers, default=None)
    return DialError(Cause.NO_ROUTE, plain(_words(error) if number is None else os.strerror(number)))


def _refused(error: InvalidStatus) -> DialError:
    """The CSMS answered with another HTTP status than 101."""
    response = error.response
    try:
        words = f"HTTP {response.status_code} {HTTPStatus(response.status_code).phrase}"
    except ValueError:
        words = f"HTTP {response.status_code}"
    if response.status_code in (401, 403):
        return DialError(Cause.CREDENTIALS, words)
    if 300 <= response.status_code < 400:
        return DialError(Cause.REDIRECT, f"{words}, to {_location(''.join(response.headers.get_all('Location')[:1]))}")
    if response.status_code == 404:
        words += " (the path of the URL or this identity is not known there)"
    return DialError(Cause.HTTP_STATUS, words)


def _location(url: str) -> str:
    """Without user and query, which may hold a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is not valid"
    host = parts.netloc.rpartition("@")[2]
    return peer_text(parts._replace(netloc=host, query="", fragment="").geturl()) or "no address"


def _tls_failure(error: ssl.SSLError, context: ssl.SSLContext | None) -> DialError:
    name = error.reason or ""
    if isinstance(error, CertificateRefused):
        return DialError(Cause.CSMS_CERTIFICATE, plain(error.describe(), _MAX_CERTIFICATE_CHARS))
    if name in _VERSION_ERRORS:
        return DialError(Cause.TLS_VERSION, name)
    if name in _CIPHER_ERRORS:
        offered = "" if context is None else f"; this station offers {offered_suites(context)}"
        return DialError(Cause.TLS_SUITES, f"{_alert(name) or name}{offered}")
    if name in _ENDED:
        return DialError(Cause.TLS_CLOSED)
    if name in _NOT_TLS:
        return DialError(Cause.TLS_FAILED, f"it does not answer in TLS ({name})")
    alert = _alert(name)
    return DialError(Cause.TLS_ALERT, alert) if alert else DialError(Cause.TLS_FAILED, plain(name or _words(error)))


def _alert(name: str) -> str:
    """The alert in OpenSSL's name of an error (`TLSV1_ALERT_UNKNOWN_CA`), in the words of RFC 8446, section 6.2."""
    _, alert, words = name.partition("_ALERT_")
    if not alert:
        return ""
    words = words.replace("_", " ").lower()
    about = "; it is about this station's certificate" if "certificate" in words or words == "unknown ca" else ""
    return f'alert "{words}"{about}'


def _words(error: BaseException) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
