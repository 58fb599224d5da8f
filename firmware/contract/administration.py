# SPDX-License-Identifier: Apache-2.0
"""What a person at the station asks of the OCPP service: the messages of its administration socket, typed.

`administration.md` in this folder is the specification. Every message is one JSON object with a `kind`; times are RFC
3339 texts of the station's UTC.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from firmware.errors import BaywattError

__all__ = [
    "ADMINISTRATION_VERSION",
    "Bundle",
    "CertificateInfo",
    "Certificates",
    "Chunk",
    "Command",
    "CommandRefused",
    "ConnectionTest",
    "DeleteCertificate",
    "Done",
    "FactoryReset",
    "FollowMessages",
    "FromAdministration",
    "FromClient",
    "GetStation",
    "GetVariables",
    "Greeting",
    "InstallChain",
    "InstallRoot",
    "ListCertificates",
    "ListProfiles",
    "MakeBundle",
    "MakeSigningRequest",
    "MessageLine",
    "NewValue",
    "Outcome",
    "Problem",
    "Profile",
    "Profiles",
    "ReadBundle",
    "Refused",
    "Request",
    "Restart",
    "Result",
    "RootUse",
    "SetIdentity",
    "SetPriority",
    "SetProduct",
    "SetProfile",
    "SetResult",
    "SetResults",
    "SetVariables",
    "SigningRequest",
    "StationInfo",
    "Step",
    "Subscribe",
    "TestConnection",
    "TestStep",
    "VariableInfo",
    "Variables",
    "VariablesChanged",
]

ADMINISTRATION_VERSION = 1


class Problem(str, Enum):
    """Why a request was refused: the closed list. The `detail` beside it is for a person."""

    BAD_REQUEST = "bad_request"
    NOT_READY = "not_ready"
    REFUSED = "refused"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    BUSY = "busy"
    STORAGE = "storage"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class CommandRefused(BaywattError):
    """A command is answered with `refused`: raised where it is carried out, and where the answer arrives."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.value}: {detail}")
        self.problem = problem
        self.detail = detail


class _Message(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True):
    pass


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Greeting(_Message, frozen=True, tag="greeting"):
    """First message of each end. The service closes the connection if the version is not its own."""

    version: int
    software: str = ""


# --- variables -----------------------------------------------------------------------------------------------


class VariableInfo(_Part, frozen=True):
    """One attribute of a variable, with what can be set. Empty texts and 0 stand for "none"."""

    component: str
    variable: str
    data_type: str
    """DataEnumType of OCPP: `string`, `integer`, `OptionList` ..."""
    mutability: Literal["ReadOnly", "WriteOnly", "ReadWrite"]
    component_instance: str = ""
    instance: str = ""
    evse: int = 0
    connector: int = 0
    attribute: str = "Actual"
    value: str | None = None
    """None: it can only be written, or is a secret."""
    unit: str = ""
    minimum: float | None = None
    """Of a number; of a text, `maximum` is its length."""
    maximum: float | None = None
    values: list[str] = field(default_factory=list)
    """Of a list type: what may be in it."""
    expected: str = ""
    """What a value must be, in words."""
    reboot: bool = False
    """A new value counts from the next start."""


class NewValue(_Part, frozen=True):
    """A value to be set; the names as in `VariableInfo`, in any case."""

    component: str
    variable: str
    value: str
    component_instance: str = ""
    instance: str = ""
    evse: int = 0
    connector: int = 0
    attribute: str = "Actual"


class SetResult(_Part, frozen=True):
    """What became of one value; `status` is SetVariableStatusEnumType of OCPP, `detail` says why it is refused."""

    component: str
    variable: str
    status: str
    component_instance: str = ""
    instance: str = ""
    evse: int = 0
    connector: int = 0
    attribute: str = "Actual"
    reason: str = ""
    detail: str = ""


# --- connection to the CSMS ----------------------------------------------------------------------------------


class Profile(_Part, frozen=True):
    """One configuration slot. What is in it is checked when it is set, not when it is read from the line."""

    slot: int
    url: str
    security_profile: int
    interface: str = "Wired0"
    """OCPPInterfaceEnumType: `Wired0`, `Wireless0` ..."""
    message_timeout_s: int = 30


class Step(str, Enum):
    """The steps of a connection, in their order."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    SUBPROTOCOL = "subprotocol"
    BOOT = "boot"


class Outcome(str, Enum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class TestStep(_Part, frozen=True):
    """One step of a connection test; `text` says in one sentence what happened, `remedy` how to mend it."""

    __test__ = False
    step: Step
    outcome: Outcome
    text: str = ""
    remedy: str = ""


# --- certificates --------------------------------------------------------------------------------------------

RootUse: TypeAlias = Literal["csms", "manufacturer"]


class CertificateInfo(_Part, frozen=True):
    """An installed certificate; of the station's own, its leaf."""

    use: Literal["csms", "manufacturer", "station"]
    subject: str
    issuer: str
    serial_number: str
    """Hexadecimal."""
    not_before: str
    not_after: str
    fingerprint: str
    """SHA-256 of the certificate, hexadecimal: its name in requests."""
    state: Literal["in_use", "replaced", "new"] = "in_use"
    """`replaced`: kept until a connection with its successor succeeds; `new`: not yet used in a connection."""
    hash_algorithm: str = ""
    """This and the next two: CertificateHashDataType of OCPP; only of roots."""
    issuer_name_hash: str = ""
    issuer_key_hash: str = ""


# --- client to service: commands -----------------------------------------------------------------------------


class _Command(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True):
    pass


class GetVariables(_Command, frozen=True, tag="get_variables"):
    """A page of all variables from `start` on, in the product's order; result `Variables`."""

    start: int = 0


class SetVariables(_Command, frozen=True, tag="set_variables"):
    """At most 100 values, checked and stored as those of the CSMS; result `SetResults`, in the same order."""

    values: list[NewValue]


class Subscribe(_Command, frozen=True, tag="subscribe"):
    """From now on `variables_changed` is sent for each change of a setting, whoever makes it."""


class GetStation(_Command, frozen=True, tag="get_station"):
    """Result `StationInfo`."""


class SetIdentity(_Command, frozen=True, tag="set_identity"):
    """The identity towards the CSMS; valid from the next start of the service."""

    identity: str


class SetProduct(_Command, frozen=True, tag="set_product"):
    """The name of an installed product file; valid from the next start of the service."""

    product: str


class ListProfiles(_Command, frozen=True, tag="list_profiles"):
    """Result `Profiles`."""


class SetProfile(_Command, frozen=True, tag="set_profile"):
    """Fill a slot, as SetNetworkProfile of the CSMS does; valid from the next start of the service."""

    profile: Profile


class SetPriority(_Command, frozen=True, tag="set_priority"):
    """The slots in the order in which they are tried (NetworkConfigurationPriority); valid from the next start."""

    slots: list[int]


class TestConnection(_Command, frozen=True, tag="test_connection"):
    """Try to reach a CSMS: that of a stored `slot`, or of a `profile` that is not stored; result `ConnectionTest`.

    `identity` and `basic_auth_password` take the place of the station's own. `disturb`: also where it may end the
    connection that the station has.
    """

    __test__ = False
    slot: int | None = None
    profile: Profile | None = None
    identity: str | None = None
    basic_auth_password: str | None = None
    disturb: bool = False

    def __repr__(self) -> str:
        return f"TestConnection(slot={self.slot})"


class ListCertificates(_Command, frozen=True, tag="list_certificates"):
    """Result `Certificates`."""


class InstallRoot(_Command, frozen=True, tag="install_root"):
    """Add a root certificate, PEM, as InstallCertificate of the CSMS does."""

    use: RootUse
    pem: str


class MakeSigningRequest(_Command, frozen=True, tag="make_signing_request"):
    """A new key pair, which stays in the station, and the signing request for it; result `SigningRequest`."""


class InstallChain(_Command, frozen=True, tag="install_chain"):
    """The answer to a signing request: the station's certificate and its intermediates, PEM, leaf first."""

    pem: str


class DeleteCertificate(_Command, frozen=True, tag="delete_certificate"):
    """Remove a root certificate, as DeleteCertificate of the CSMS does."""

    fingerprint: str


class FollowMessages(_Command, frozen=True, tag="follow_messages"):
    """From now on a `message` line is sent for each message between station and CSMS, after the last ones that are
    written or still in memory."""


class MakeBundle(_Command, frozen=True, tag="make_bundle"):
    """Pack logs, message log and the state of the station as a diagnostics upload does; result `Bundle`."""


class ReadBundle(_Command, frozen=True, tag="read_bundle"):
    """The part of this connection's bundle from `offset` on; result `Chunk`."""

    offset: int


class Restart(_Command, frozen=True, tag="restart"):
    """`service`: this process alone, at once; sessions continue. `station`: the board; transactions are ended first,
    or, with `on_idle`, waited for."""

    what: Literal["service", "station"]
    on_idle: bool = False


class FactoryReset(_Command, frozen=True, tag="factory_reset"):
    """Forget settings, certificates, keys and queued messages, and start anew from the factory file.

    `force`: also while a transaction runs, which is then lost.
    """

    force: bool = False


Command: TypeAlias = (
    GetVariables
    | SetVariables
    | Subscribe
    | GetStation
    | SetIdentity
    | SetProduct
    | ListProfiles
    | SetProfile
    | SetPriority
    | TestConnection
    | ListCertificates
    | InstallRoot
    | MakeSigningRequest
    | InstallChain
    | DeleteCertificate
    | FollowMessages
    | MakeBundle
    | ReadBundle
    | Restart
    | FactoryReset
)


class Request(_Message, frozen=True, tag="request"):
    """A command, and the id of its one answer."""

    id: int
    command: Command


# --- service to client: results ------------------------------------------------------------------------------


class Variables(_Message, frozen=True, tag="variables"):
    variables: list[VariableInfo]
    next: int | None = None
    """`start` of the next page; None: this was the last."""


class SetResults(_Message, frozen=True, tag="set_results"):
    results: list[SetResult]


class StationInfo(_Message, frozen=True, tag="station"):
    """What the service runs with, and what it will run with from its next start."""

    identity: str
    next_identity: str
    product: str
    next_product: str
    products: list[str]
    """The installed product files."""
    firmware_version: str
    serial_number: str
    password_is_set: bool


class Profiles(_Message, frozen=True, tag="profiles"):
    profiles: list[Profile]
    priority: list[int]
    slots: int
    """They are numbered from 1 to this."""
    interfaces: list[str]
    connected: int | None = None
    """The slot of the present connection."""


class ConnectionTest(_Message, frozen=True, tag="connection_test"):
    """Always all steps, in their order. `note` says what limits the test, if anything does."""

    steps: list[TestStep]
    note: str = ""


class Certificates(_Message, frozen=True, tag="certificates"):
    certificates: list[CertificateInfo]
    most: int
    """How many roots can be installed."""


class SigningRequest(_Message, frozen=True, tag="signing_request"):
    pem: str


class Bundle(_Message, frozen=True, tag="bundle"):
    """Its `name` for a file, and its size in bytes."""

    name: str
    size: int


class Chunk(_Message, frozen=True, tag="chunk"):
    """`data` is base64 on the line; `last` is true of the chunk that ends the bundle."""

    data: bytes
    last: bool = False


Result: TypeAlias = (
    Variables | SetResults | StationInfo | Profiles | ConnectionTest | Certificates | SigningRequest | Bundle | Chunk
)


class Done(_Message, frozen=True, tag="done"):
    """`result` is null where the command names none."""

    id: int
    result: Result | None = None


class Refused(_Message, frozen=True, tag="refused"):
    id: int
    problem: Problem
    detail: str = ""


# --- service to client: what happens -------------------------------------------------------------------------


class VariablesChanged(_Message, frozen=True, tag="variables_changed"):
    variables: list[VariableInfo]


class MessageLine(_Message, frozen=True, tag="message"):
    """One line of the message log (`docs/ocpp-log.md`), without secrets and card numbers."""

    line: msgspec.Raw


FromAdministration: TypeAlias = Greeting | Done | Refused | VariablesChanged | MessageLine
FromClient: TypeAlias = Greeting | Request
