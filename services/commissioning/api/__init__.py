# SPDX-License-Identifier: Apache-2.0
"""The operations of the JSON API, a module for each part of the page; `routes.py` lists them all."""
