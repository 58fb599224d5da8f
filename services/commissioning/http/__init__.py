# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over TLS for a small server: requests bounded in size and time, connections bounded in number.

`h11` parses; this folder adds sockets and limits. aiohttp would do, but its modules alone take 14 MB, a third of what
the process may use.
"""
