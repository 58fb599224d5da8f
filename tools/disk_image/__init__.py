# SPDX-License-Identifier: Apache-2.0
"""Makes what is flashed onto a board and what updates it (`make image`), and boots it in an emulator."""
