# SPDX-License-Identifier: Apache-2.0
"""The station's certificates and keys: what is trusted, what identifies it, and how it asks for a new one.

`store.py` keeps them on disk, `checks.py` judges what the CSMS sends, `hashes.py` names certificates as OCPP does,
`requests.py` makes keys and signing requests, `factory.py` reads what a new station leaves the factory with. The
`cryptography` package is imported when a certificate has to be understood, not before: most starts need none of it.
"""

from services.ocpp.certificates.errors import CertificateError
from services.ocpp.certificates.store import CertificateStore, RootKind

__all__ = ["CertificateError", "CertificateStore", "RootKind"]
