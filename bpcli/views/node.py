"""The output of `bpcli step --node`: one neuron as a computational graph."""

from __future__ import annotations

import dataclasses

from bpcli.engine.measure.node import NodeTrace
from bpcli.text import json_text, table
from bpcli.views.step_formats import number_text

MOST_INPUTS = 20  # that are shown one by one


def node_text(node: NodeTrace, digits: int | None = None) -> str:
    """A line for each operation, forward from the top and back from the bottom, then the inputs and parameters."""
    digits = 12 if digits is None else digits

    def number(value: float) -> str:
        return number_text(value, digits)

    rows = [["operation", "value", "local derivative", "df/d(value)"]]
    for operation in node.operations:
        numbers = (operation.value, operation.local, operation.total)
        rows.append([f"{operation.symbol} = {operation.expression}", *map(number, numbers)])
    lines = [
        "forward from the top, backward from the bottom: df/d(value) is the product of the local derivatives below"
    ]
    lines += ["", table(rows), ""]
    single, ds = len(node.x) == 1, node.operations[0].total
    rows = [["parameter or input", "value", "", "df/d(value)", "dL/d(value)"]]
    for k in range(min(len(node.x), MOST_INPUTS)):
        mark = "" if single else f"_{k + 1}"
        for name, rule, value, slope in (
            (f"w{mark}", f"df/ds x{mark}", node.w[k], node.dw[k]),
            (f"x{mark}", f"df/ds w{mark}", node.x[k], node.dx[k]),
        ):
            factor = node.x[k] if name.startswith("w") else node.w[k]
            through = number(float(node.delta * factor)) if name.startswith("w") else ""
            rows.append([name, number(float(value)), rule, number(float(slope)), through])
    if node.b is not None and node.db is not None:
        rows.append(["b", number(node.b), "df/ds", number(node.db), number(node.delta)])
    lines += [
        f"df/ds = {number(ds)}, delta = dL/dz = {number(node.delta)}, dL/dw = delta x, dL/db = delta",
        table(rows),
    ]
    if len(node.x) > MOST_INPUTS:
        lines.append(f"and {len(node.x) - MOST_INPUTS:,} more inputs (--json has all)")
    return "\n".join(lines)


def node_json(node: NodeTrace) -> str:
    """The same numbers, unrounded."""
    values = {
        "operations": [dataclasses.asdict(operation) for operation in node.operations],
        "x": node.x.tolist(),
        "w": node.w.tolist(),
        "b": node.b,
        "df_dx": node.dx.tolist(),
        "df_dw": node.dw.tolist(),
        "df_db": node.db,
        "delta": node.delta,
        "dL_dw": (node.delta * node.x).tolist(),
    }
    return json_text(values)
