# SPDX-License-Identifier: Apache-2.0
"""The network links of the board, as NetworkManager and ModemManager report them on the system bus."""
