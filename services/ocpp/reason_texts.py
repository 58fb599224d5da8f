# SPDX-License-Identifier: Apache-2.0
"""What a reason code means for the operator, for refusals whose block has nothing more precise to say."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["explain"]

_TEXTS: Final = {
    "CSNotAccepted": "possible only after the CSMS has accepted this station's BootNotification",
    "InternalError": "the board's controller does not answer at the moment",
    "OutOfStorage": "it can't be kept: the disk is full or broken",
    "TxInProgress": "a session is in progress on this EVSE",
    "UnknownConnectorId": "this EVSE has no such connector",
    "UnknownEvse": "this station has no such EVSE",
    "UnknownTxId": "no transaction with this transactionId is running",
}
_REFERENCES: Final = "expected one of idToken, customerCertificate, customerIdentifier, and only one"
_TEXTS_OF_REQUESTS: Final = {
    ("CertificateSigned", "UnsupportedParam"): "expected certificateType ChargingStationCertificate",
    ("CustomerInformation", "InvalidValue"): "expected report or clear, or both, to be true",
    ("CustomerInformation", "MissingParam"): _REFERENCES,
    ("CustomerInformation", "TooManyElements"): _REFERENCES,
    ("CustomerInformation", "UnsupportedParam"): "this station knows customers by their idToken only",
    ("GetLog", "InvalidMessageSeq"): "another log is being uploaded, and can't be cancelled",
    ("GetLog", "InvalidURL"): "expected a remoteLocation that is a URL with a protocol of FileTransferProtocols",
    ("GetLog", "InvalidValue"): "expected an oldestTimestamp before latestTimestamp, and not in the future",
    ("GetLog", "NotFound"): "there is no log of that time",
    ("InstallCertificate", "UnsupportedParam"): "expected CSMSRootCertificate or ManufacturerRootCertificate",
    ("Reset", "UnsupportedRequest"): "there is no such EVSE, or it can't be reset without the station",
    ("UnlockConnector", "FixedCable"): "the cable is part of the station: there is nothing to unlock",
}


def explain(action: str, response: Any) -> None:
    """Add the text to a response's statusInfo that has only a reason code."""
    info = response.get("statusInfo")
    if info is not None and "additionalInfo" not in info:
        code = info["reasonCode"]
        text = _TEXTS_OF_REQUESTS.get((action, code)) or _TEXTS.get(code)
        if text is not None:
            response["statusInfo"] = {**info, "additionalInfo": text}
