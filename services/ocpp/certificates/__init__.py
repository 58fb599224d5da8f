# SPDX-License-Identifier: Apache-2.0
"""The station's certificates and keys: what is trusted, what identifies it, and how it asks for a new one.

`store.py` holds the trusted roots on disk, `station_keys.py` the station's own keys and chains, `checks.py` checks what
the CSMS sends, `hashes.py` names certificates as OCPP does, `requests.py` makes keys and signing requests, `factory.py`
installs the certificates of a new station. The `cryptography` package is imported when the first certificate has to be
parsed: most starts need none of it.
"""

from services.ocpp.certificates.errors import CertificateError
from services.ocpp.certificates.store import CertificateStore, RootKind

__all__ = ["CertificateError", "CertificateStore", "RootKind"]
