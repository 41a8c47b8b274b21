"""The equations of `bpcli step`: every part has some, and they become LaTeX and HTML."""

from __future__ import annotations

import pytest
from contract import make

from bpcli.engine import registry
from bpcli.engine.protocols import FullBatchOptimizer
from bpcli.views.equations import ACTIVATIONS, FUSED, LAYERS, LOSSES, OPTIMIZERS, update_equations
from bpcli.views.notation import html_of, latex, plain


def test_every_layer_activation_and_loss_has_equations() -> None:
    assert set(registry.layers.names()) == set(LAYERS)
    assert set(registry.activations.names()) == set(ACTIVATIONS)
    assert set(registry.losses.names()) == {*LOSSES, *(loss for loss, _ in FUSED)}


@pytest.mark.parametrize("name", registry.layers.names())
def test_every_parameter_that_a_layer_learns_has_the_equation_of_its_gradient(name: str) -> None:
    from contract import IN_SHAPES

    specs = make(registry.layers, name).param_specs(IN_SHAPES.get(name, (4,)))
    assert {key for key, spec in specs.items() if spec.learned} == set(LAYERS[name].gradients)


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_every_vector_of_an_optimizer_has_an_equation(name: str) -> None:
    optimizer = registry.optimizers.get(name)()
    if isinstance(optimizer, FullBatchOptimizer):
        assert name not in OPTIMIZERS  # such a step has no page
        return
    assert set(update_equations(optimizer)) == {*optimizer.vector_names(), "W"}


@pytest.mark.parametrize(
    ("equation", "in_latex", "in_html"),
    [
        ("W^12", "W^{12}", "<i>W</i><sup>12</sup>"),
        ("a_j", "a_{j}", "<i>a</i><sub><i>j</i></sub>"),
        ("dL/dW^1", r"\frac{\partial L}{\partial W^{1}}", "∂<i>L</i>/∂<i>W</i><sup>1</sup>"),
        ("b <- b", r"b \leftarrow  b", "<i>b</i> ← <i>b</i>"),
        ("weight_decay", r"\mathrm{weight\_decay}", "weight_decay"),
        ("z > 0 & 1", r"z > 0 \& 1", "<i>z</i> &gt; 0 &amp; 1"),
        ("'where' z", r"\text{ where } z", "where <i>z</i>"),
        ("f'(z)", "f'(z)", "<i>f</i>&#x27;(<i>z</i>)"),
    ],
)
def test_notation(equation: str, in_latex: str, in_html: str) -> None:
    assert latex(equation) == in_latex
    assert html_of(equation) == in_html


def test_plain_text_drops_the_quotes_of_text_and_keeps_derivatives() -> None:
    assert plain("f'(z) 'where' z > 0, 'else' f'(0)") == "f'(z) where z > 0, else f'(0)"
