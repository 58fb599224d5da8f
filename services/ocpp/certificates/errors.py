# SPDX-License-Identifier: Apache-2.0
"""Why a certificate is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.errors import CsmsError

if TYPE_CHECKING:
    from services.ocpp.messages import StatusInfoType

__all__ = ["CertificateError"]


class CertificateError(CsmsError):
    """A certificate, a chain or a signing request is refused.

    `code` is a reason code of the appendix (at most 20 characters), the text says precisely what is wrong; neither
    contains anything secret.
    """

    def __init__(self, text: str, code: str = "InvalidCertificate") -> None:
        super().__init__(text)
        self.code = code

    @property
    def status_info(self) -> StatusInfoType:
        """For the response that refuses it."""
        return {"reasonCode": self.code, "additionalInfo": str(self)[:512]}
