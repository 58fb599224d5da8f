# SPDX-License-Identifier: Apache-2.0
"""Register maps of DC meters, one file a model; `drivers/modbus/register_map.py` says what stands in them."""
