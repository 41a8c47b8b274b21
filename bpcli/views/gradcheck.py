"""The output of `bpcli gradcheck`."""

from __future__ import annotations

import math

from bpcli.engine.measure.gradcheck import TOLERANCE, ArrayCheck
from bpcli.text import json_text, plural, table
from bpcli.workflows.gradcheck import Gradients


def gradients_text(found: Gradients) -> str:
    """A line for each array of parameters: how many were checked, and the worst of them."""
    lines = [
        f"loss {found.loss:.6g} on the first {plural(found.samples, 'sample')} of the training data, in float64",
        "each weight was moved by about 0.001 at random: at exactly 0 an activation such as relu has no derivative",
        f"error: |back-propagation - difference| / the larger of the two; up to {TOLERANCE:g} passes",
        "",
        table([_HEADER, *(_row(array) for array in found.arrays)], left=2),
    ]
    if skipped := sum(array.undecided for array in found.arrays):
        lines += ["", f"{plural(skipped, 'place')} left out, where a kink is too near for a difference"]
    return "\n".join([*lines, "", _verdict(found)])


_HEADER = ["layer", "parameter", "checked", "worst error", "at", "back-propagation", "difference", ""]


def _row(array: ArrayCheck) -> list[str]:
    layer, _, parameter = array.name.rpartition(".")
    checked = f"{array.checked - array.undecided:,} of {array.size:,}"
    if math.isnan(array.worst):
        return [layer, parameter, checked, "", "", "", "", "not checked"]
    values = (f"{array.analytic:.9g}", f"{array.numeric:.9g}")
    index = "[" + ", ".join(map(str, array.index)) + "]"
    return [layer, parameter, checked, f"{array.worst:.1e}", index, *values, "ok" if array.passed else "WRONG"]


def _verdict(found: Gradients) -> str:
    if all(array.passed for array in found.arrays):
        return "passed"
    bad = sum(not array.passed for array in found.arrays)
    return f"failed: {bad} of {plural(len(found.arrays), 'array')} of parameters"


def gradients_json(found: Gradients) -> str:
    """The same numbers, unrounded; null where nothing could be checked."""
    parameters = [
        {
            "layer": array.name.rpartition(".")[0],
            "parameter": array.name.rpartition(".")[2],
            "size": array.size,
            "checked": array.checked - array.undecided,
            "undecided": array.undecided,
            "worst_error": array.worst,
            "index": list(array.index),
            "back_propagation": array.analytic,
            "difference": array.numeric,
            "passed": array.passed,
        }
        for array in found.arrays
    ]
    passed = all(array.passed for array in found.arrays)
    values = {"passed": passed, "tolerance": TOLERANCE, "samples": found.samples, "loss": found.loss}
    return json_text({**values, "parameters": parameters})
