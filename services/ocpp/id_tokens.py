# SPDX-License-Identifier: Apache-2.0
"""When two idTokens, or two groups of idTokens, are the same (C01.FR.25: identifiers are case-insensitive)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.ocpp.messages import IdTokenType

__all__ = ["is_group", "same_token", "token_key"]


def token_key(id_token: IdTokenType) -> str:
    """One text for all spellings of a token; tokens of different types differ. Hashed in the cache's table."""
    return f"{id_token['type']}|{id_token['idToken'].casefold()}"


def same_token(one: IdTokenType | None, other: IdTokenType | None) -> bool:
    """Whether both are given and have the same identifier and type; for tokens and for groupIdTokens."""
    return one is not None and other is not None and token_key(one) == token_key(other)


def is_group(group: IdTokenType | None, identifier: str) -> bool:
    """Whether `group` has this identifier, which comes without a type (MasterPassGroupId, customerIdentifier)."""
    return group is not None and group["idToken"].casefold() == identifier.casefold()
