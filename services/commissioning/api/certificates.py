# SPDX-License-Identifier: Apache-2.0
"""Certificates towards the CSMS, which the OCPP service keeps, and the page's own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from firmware.contract.administration import (
    Certificates,
    DeleteCertificate,
    InstallChain,
    InstallRoot,
    ListCertificates,
    MakeSigningRequest,
    RootUse,
    SigningRequest,
)
from services.commissioning.api_error import ApiError
from services.commissioning.isolated import ChildError
from services.commissioning.page_file import PageCertificateInfo
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "NewChain", "NewPageCertificate", "NewRoot"]

Pem = Annotated[str, Meta(max_length=32 * 1024)]


class NewRoot(Struct, frozen=True, forbid_unknown_fields=True):
    use: RootUse
    pem: Pem


class NewChain(Struct, frozen=True, forbid_unknown_fields=True):
    """The station's certificate for the last signing request, and its intermediates, leaf first."""

    pem: Pem


class NewPageCertificate(Struct, frozen=True, forbid_unknown_fields=True):
    """PEM: the chain with the leaf first, and the key of the leaf without a passphrase."""

    chain: Pem
    key: Pem


async def _list(call: Call) -> Certificates:
    return await call.site.administration.ask_for(ListCertificates(), Certificates)


async def _install_root(call: Call) -> Certificates:
    new = call.body(NewRoot)
    await call.site.administration.ask(InstallRoot(new.use, new.pem))
    return await _list(call)


async def _delete(call: Call) -> Certificates:
    await call.site.administration.ask(DeleteCertificate(call.parameters["fingerprint"]))
    return await _list(call)


async def _signing_request(call: Call) -> SigningRequest:
    return await call.site.administration.ask_for(MakeSigningRequest(), SigningRequest)


async def _install_chain(call: Call) -> Certificates:
    await call.site.administration.ask(InstallChain(call.body(NewChain).pem))
    return await _list(call)


async def _page(call: Call) -> PageCertificateInfo:
    return call.site.certificate.info


async def _replace_page(call: Call) -> PageCertificateInfo:
    new = call.body(NewPageCertificate)
    try:
        await call.site.certificate.replace(new.chain, new.key)
    except ValueError as error:
        raise ApiError(400, "certificate_refused", str(error)) from None
    except ChildError as error:
        raise ApiError(502, "failed", str(error)) from None
    return call.site.certificate.info


async def _make_page(call: Call) -> PageCertificateInfo:
    try:
        await call.site.certificate.make()
    except ChildError as error:
        raise ApiError(502, "failed", str(error)) from None
    return call.site.certificate.info


ROUTES = [
    Route(
        method="GET",
        path="/api/certificates",
        access=Access.VIEWER,
        summary="Root certificates and the station's own, with their periods",
        handler=_list,
        answer=Certificates,
    ),
    Route(
        method="POST",
        path="/api/certificates",
        access=Access.INSTALLER,
        summary="Install a root certificate",
        handler=_install_root,
        body=NewRoot,
        answer=Certificates,
    ),
    Route(
        method="DELETE",
        path="/api/certificates/{fingerprint}",
        access=Access.INSTALLER,
        summary="Remove a root certificate",
        handler=_delete,
        answer=Certificates,
    ),
    Route(
        method="POST",
        path="/api/signing-request",
        access=Access.INSTALLER,
        summary="Make a new key in the station, and the signing request for it",
        handler=_signing_request,
        answer=SigningRequest,
    ),
    Route(
        method="PUT",
        path="/api/station-certificate",
        access=Access.INSTALLER,
        summary="Install the certificate that was made for the signing request",
        handler=_install_chain,
        body=NewChain,
        answer=Certificates,
    ),
    Route(
        method="GET",
        path="/api/page-certificate",
        access=Access.VIEWER,
        summary="The certificate of this page",
        handler=_page,
        answer=PageCertificateInfo,
    ),
    Route(
        method="PUT",
        path="/api/page-certificate",
        access=Access.INSTALLER,
        summary="Use another certificate for this page",
        handler=_replace_page,
        body=NewPageCertificate,
        answer=PageCertificateInfo,
    ),
    Route(
        method="DELETE",
        path="/api/page-certificate",
        access=Access.INSTALLER,
        summary="Make a new self-signed certificate for this page",
        handler=_make_page,
        answer=PageCertificateInfo,
    ),
]
