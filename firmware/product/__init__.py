# SPDX-License-Identifier: Apache-2.0
"""What this product is: hardware, optional features, limits and device-model values, as data.

The code implements capabilities; a product file switches them on and off. No code may depend on a product's name.
"""

from __future__ import annotations

from firmware.product.loader import load, names
from firmware.product.model import (
    AttributeRow,
    Connector,
    Evse,
    Features,
    Hardware,
    Identity,
    LabAnswers,
    Limits,
    OptionalTrigger,
    Product,
    VariableRow,
)

__all__ = [
    "AttributeRow",
    "Connector",
    "Evse",
    "Features",
    "Hardware",
    "Identity",
    "LabAnswers",
    "Limits",
    "OptionalTrigger",
    "Product",
    "VariableRow",
    "load",
    "names",
]
