# SPDX-License-Identifier: Apache-2.0
"""Makes what is installed on a charger (`make deb`), and tries it in a container (`make test-deb`)."""
