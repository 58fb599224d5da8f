# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format, as far as the station writes it: any line that breaks it is an error."""

from __future__ import annotations

import re

__all__ = ["parse"]

_LABEL = r'[a-z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"^(([a-z_]\w*)(?:\{{{_LABEL}(?:,{_LABEL})*\}})?) (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$")


def parse(text: str) -> dict[str, float]:
    """Each sample by its name and labels. Raises `ValueError`."""
    found: dict[str, float] = {}
    metric, declared = "", set[str]()
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            metric, kind = line.split(" ")[2:]
            if metric in declared or kind not in ("counter", "gauge"):
                raise ValueError(line)
            if (kind == "counter") != metric.endswith("_total"):
                raise ValueError(f"{metric} is a {kind}")
            declared.add(metric)
            continue
        sample = _SAMPLE.match(line)
        if sample is None or sample[2] != metric or sample[1] in found:
            raise ValueError(line)
        found[sample[1]] = float(sample[3])
    return found
