# SPDX-License-Identifier: Apache-2.0
"""The part of the API about one station's device model and certificates.

GET    /api/stations/{id}/variables    what the station has reported: {"progress", "variables"}; GetBaseReport fills it
GET    /api/stations/{id}/certificates GetInstalledCertificateIds, each with the facts that the bench knows or null
POST   /api/certificate                {"pem"} -> the facts of a certificate
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from tools.csms.api import BACK_OFFICE, ApiError, CallRequest, as_json, call, read_body
from tools.csms.known_certificates import KnownCertificates, facts_of

__all__ = ["ROUTES"]


class CertificateText(Struct, frozen=True, forbid_unknown_fields=True):
    pem: str


async def _variables(request: web.Request) -> web.Response:
    models, station = request.app[BACK_OFFICE].models, request.match_info["station"]
    return as_json({"progress": models.progress(station), "variables": models.variables(station)})


async def _certificates(request: web.Request) -> web.Response:
    answer = await call(request, CallRequest("GetInstalledCertificateIds"))
    known = request.app[BACK_OFFICE].certificates
    if "result" not in answer or answer["problem"]:
        detail = answer.get("call_error", {}).get("code") or answer.get("problem")
        raise ApiError(502, "bad_answer", f"the station answers GetInstalledCertificateIds with {detail}")
    chains = answer["result"].get("certificateHashDataChain", [])
    return as_json([_described(chain, known) for chain in chains])


def _described(chain: dict[str, Any], known: KnownCertificates) -> dict[str, Any]:
    own = chain["certificateHashData"]
    below = [{"hash_data": each, "facts": known.find(each)} for each in chain.get("childCertificateHashData", [])]
    return {"type": chain["certificateType"], "hash_data": own, "facts": known.find(own), "children": below}


async def _certificate(request: web.Request) -> web.Response:
    text = await read_body(request, CertificateText)
    try:
        return as_json(facts_of(text.pem))
    except ValueError:
        raise ApiError(422, "malformed", "that is no certificate in PEM") from None


ROUTES = [
    web.get("/api/stations/{station}/variables", _variables),
    web.get("/api/stations/{station}/certificates", _certificates),
    web.post("/api/certificate", _certificate),
]
