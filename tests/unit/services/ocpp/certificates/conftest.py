# SPDX-License-Identifier: Apache-2.0
"""A store with one CSMS root."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ocpp.certificates import CertificateStore
from tests.support.pki import START, Pki


@pytest.fixture
def root() -> Pki:
    return Pki()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certificates"


@pytest.fixture
def store(folder: Path, root: Pki) -> CertificateStore:
    store = CertificateStore(folder)
    store.install_root("CSMSRootCertificate", root.pem, START.timestamp())
    return store
