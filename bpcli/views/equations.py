"""The equations of the parts, as `bpcli step` shows them: in plain text, which `notation` turns into LaTeX and HTML.

Each is for one sample. Names in braces are filled in: z, a, x, delta of the layer in question (x is the a of the layer
before it), W, b and other parameters by name, and `sum`, the sum over the samples of a batch, left out for one sample.
Definitions follow 'with'. A part without an entry, such as one of your own, is shown by its numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bpcli.engine.network import LayerEntry
from bpcli.engine.protocols import Optimizer
from bpcli.engine.registry import activations, layers, losses, optimizers


@dataclass(frozen=True)
class LayerEquations:
    """z: the output before the activation, at `place`. dx: dL/dx from delta = dL/dz. gradients: by parameter."""

    z: str
    dx: str
    gradients: Mapping[str, str] = field(default_factory=dict)
    place: str = ""


WITH = " 'with' "  # what follows defines symbols of the equation

_NORM = "({x} - mean) / sqrt(var + eps)"
_WINDOW = "c, o s + i - p, q s + j - p"
LAYERS: dict[str, LayerEquations] = {
    "dense": LayerEquations("{W} {x} + {b}", "({W})^T {delta}", {"W": "{sum}{delta} ({x})^T", "b": "{sum}{delta}"}),
    "conv2d": LayerEquations(
        "sum_(c,i,j) {W}[f, c, i, j] {x}[c, o s + i d - p, q s + j d - p] + {b}[f]",
        "sum_(f,o,q) {W}[f, c, i, j] {delta}[f, o, q] 'over all i, j, o, q that meet in that input'",
        {
            "W": "{sum}sum_(o,q) {delta}[f, o, q] {x}[c, o s + i d - p, q s + j d - p]",
            "b": "{sum}sum_(o,q) {delta}[f, o, q]",
        },
        place="[f, o, q]",
    ),
    "max_pool2d": LayerEquations(
        f"max_(i,j) {{x}}[{_WINDOW}]",
        "sum_(o,q) {delta}[c, o, q] 'at the largest input of each window, else' 0",
        place="[c, o, q]",
    ),
    "avg_pool2d": LayerEquations(
        f"1 / (k_h k_w) sum_(i,j) {{x}}[{_WINDOW}]",
        "1 / (k_h k_w) sum_(o,q) {delta}[c, o, q] 'over the windows that hold that input'",
        place="[c, o, q]",
    ),
    "global_avg_pool2d": LayerEquations("1 / (H W) sum_(i,j) {x}[c, i, j]", "1 / (H W) {delta}[c]", place="[c]"),
    "flatten": LayerEquations("{x} 'in one row'", "{delta} 'in the shape of' {x}"),
    "dropout": LayerEquations(
        "r * {x} / (1 - rate) 'with' r = 0 'with probability' rate, 'else' 1", "r * {delta} / (1 - rate)"
    ),
    "gaussian_noise": LayerEquations("{x} + e 'with' e 'drawn from' N(0, std^2)", "{delta}"),
    "batch_norm": LayerEquations(
        f"{{W}} * u + {{b}} 'with' u = {_NORM}",
        "{W} / sqrt(var + eps) * ({delta} - mean({delta}) - u * mean({delta} * u))",
        {"W": "sum {delta} * u 'over samples and pixels'", "b": "sum {delta} 'over samples and pixels'"},
    ),
    "layer_norm": LayerEquations(
        f"{{W}} * u + {{b}} 'with' u = {_NORM} 'with the mean and variance of the sample'",
        "1 / sqrt(var + eps) * (e - mean(e) - u * mean(e * u)) 'with' e = {W} * {delta}",
        {"W": "{sum}{delta} * u", "b": "{sum}{delta}"},
    ),
    "scale": LayerEquations("{W} * {x}", "{W} * {delta}", {"W": "{sum}{delta} * {x}"}),
    "prelu": LayerEquations(
        "max({x}, 0) + {slope} * min({x}, 0)",
        "{delta} 'where' {x} > 0, 'else' {slope} * {delta}",
        {"slope": "{sum}{delta} * min({x}, 0)"},
    ),
    "parametric_activation": LayerEquations(
        "{x} + {W} * (f({x}) - {x})",
        "(1 - {W}) * {delta} + {W} * f'({x}) * {delta}",
        {"W": "{sum}{delta} * (f({x}) - {x})"},
    ),
    "periodic_embedding": LayerEquations(
        "({W} cos(t) + {b}, {x}) 'with' t = 2 pi {frequency} {x} + {phase} 'for each input'",
        "{delta}_x + 2 pi {frequency}^T s 'with' s = -sin(t) * ({W})^T {delta}",
        {
            "W": "{sum}{delta} cos(t)^T",
            "b": "{sum}{delta}",
            "phase": "{sum}s 'with' s = -sin(t) * ({W})^T {delta}",
            "frequency": "2 pi {sum}s {x}",
        },
    ),
    "activation": LayerEquations("f({x})", "{delta} * f'({x})"),
}


@dataclass(frozen=True)
class ActivationEquations:
    """value: f(z), called a. slope: f'(z), from z and a."""

    value: str
    slope: str


ACTIVATIONS: dict[str, ActivationEquations] = {
    "identity": ActivationEquations("{z}", "1"),
    "sigmoid": ActivationEquations("1 / (1 + exp(-{z}))", "{a} * (1 - {a})"),
    "tanh": ActivationEquations("tanh({z})", "1 - ({a})^2"),
    "relu": ActivationEquations("max({z}, 0)", "1 'where' {z} > 0, 'else' 0"),
    "leaky_relu": ActivationEquations("max({z}, slope * {z})", "1 'where' {z} > 0, 'else' slope"),
    "elu": ActivationEquations(
        "{z} 'where' {z} > 0, 'else' alpha (exp({z}) - 1)", "1 'where' {z} > 0, 'else' {a} + alpha"
    ),
    "selu": ActivationEquations(
        "lambda {z} 'where' {z} > 0, 'else' lambda alpha (exp({z}) - 1)",
        "lambda 'where' {z} > 0, 'else' {a} + lambda alpha",
    ),
    "softplus": ActivationEquations("ln(1 + exp({z}))", "1 - exp(-{a})"),
    "softsign": ActivationEquations("{z} / (1 + |{z}|)", "(1 - |{a}|)^2"),
    "silu": ActivationEquations(
        "{z} * s 'with' s = 1 / (1 + exp(-{z}))", "s * (1 + {z} * (1 - s)) 'with' s = 1 / (1 + exp(-{z}))"
    ),
    "mish": ActivationEquations(
        "{z} * tanh(u) 'with' u = ln(1 + exp({z}))",
        "tanh(u) + {z} * (1 - tanh(u)^2) / (1 + exp(-{z})) 'with' u = ln(1 + exp({z}))",
    ),
    "gelu": ActivationEquations(
        "{z} * Phi({z}) 'with the standard normal distribution' Phi", "Phi({z}) + {z} * Phi'({z})"
    ),
    "hard_sigmoid": ActivationEquations("min(max({z} / 6 + 1 / 2, 0), 1)", "1 / 6 'where' 0 < {a} < 1, 'else' 0"),
    "softmax": ActivationEquations("exp({z}_j) / sum_k exp({z}_k)", "{a} * (d - sum_j d_j {a}_j) 'with' d = dL/d{a}"),
}


@dataclass(frozen=True)
class LossEquations:
    """value: one sample's loss from the outputs a and targets y. gradient: its derivative, with respect to a.

    In FUSED, where loss and output activation are computed together, with respect to z.
    """

    value: str
    gradient: str


LOSSES: dict[str, LossEquations] = {
    "half_squared_error": LossEquations("1 / 2 sum_j ({a}_j - y_j)^2", "({a} - y)"),
    "mse": LossEquations("1 / M sum_j ({a}_j - y_j)^2", "2 / M ({a} - y)"),
    "mae": LossEquations("1 / M sum_j |{a}_j - y_j|", "1 / M sign({a} - y)"),
    "huber": LossEquations(
        "1 / M sum_j h({a}_j - y_j) 'with' h(e) = e^2 / 2 'where' |e| < c, 'else' c (|e| - c / 2), c = 'delta'",
        "1 / M min(max({a} - y, -c), c)",
    ),
    "log_cosh": LossEquations("1 / M sum_j ln(cosh({a}_j - y_j))", "1 / M tanh({a} - y)"),
    "poisson": LossEquations("sum_j (r_j - y_j ln(r_j + eps)) 'with' r = {a}", "(1 - y / ({a} + eps))"),
    "hinge": LossEquations(
        "max(0, 1 - m) 'with the margin' m 'of the right class'", "-dm/d{a} 'where' m < 1, 'else' 0"
    ),
}
_Q = "(1 - p)^gamma"
FUSED: dict[tuple[str, str], LossEquations] = {
    ("log_likelihood", "softmax"): LossEquations("-sum_j y_j ln({a}_j)", "({a} - y)"),
    ("log_likelihood", "sigmoid"): LossEquations("-sum_j [y_j ln({a}_j) + (1 - y_j) ln(1 - {a}_j)]", "({a} - y)"),
    ("focal", "softmax"): LossEquations(
        f"-{_Q} ln(p) 'with' p = {{a}}_j 'of the right class'",
        f"({{a}} - y) {_Q} (1 - gamma p ln(p) / (1 - p))",
    ),
    ("focal", "sigmoid"): LossEquations(
        f"-sum_j {_Q} ln(p) 'with' p = {{a}}_j 'where' y_j = 1, 'else' 1 - {{a}}_j",
        f"(1 - 2 y) {_Q} (1 - p - gamma p ln(p))",
    ),
    ("poisson", "identity"): LossEquations("sum_j (exp({z}_j) - y_j {z}_j)", "(exp({z}) - y)"),
}

# The optimizer's vectors, then the parameter W, as they become in a step; g is the gradient and eta the learning rate.
_ADAM = {"m": "beta1 m + (1 - beta1) g", "v": "beta2 v + (1 - beta2) g^2", "v_max": "max(v_max, v)"}
_CORRECTED = "(m / (1 - beta1^t)) / (sqrt({v} / (1 - beta2^t)) + eps)"
OPTIMIZERS: dict[str, dict[str, str]] = {
    "sgd": {"velocity": "momentum velocity + g", "W": "W - eta {update}"},
    "adam": {**_ADAM, "W": f"W - eta {_CORRECTED}"},
    "adamw": {**_ADAM, "W": f"W - eta {{decay}}{_CORRECTED}"},
    "nadam": {
        **_ADAM,
        "W": "W - eta (mu_(t+1) m / (1 - U_(t+1)) + (1 - mu_t) g / (1 - U_t)) / (sqrt(v / (1 - beta2^t)) + eps) "
        "'with' mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), U_t = mu_1 mu_2 ... mu_t",
    },
    "adagrad": {"sum": "S + g^2", "W": "W - eta g / (sqrt(initial_accumulator + S) + eps)"},
    "rmsprop": {
        "v": "alpha v + (1 - alpha) g^2",
        "mean": "alpha mean + (1 - alpha) g",
        "velocity": "momentum velocity + {scaled}",
        "W": "W - eta {update}",
    },
    "rprop": {
        "step": "step eta_plus 'where' g 'kept its sign', step eta_minus 'where it flipped'",
        "sign": "sign(g), 'but' 0 'where it flipped'",
        "W": "W - eta / learning_rate step * sign",
    },
}


def layer_equations(entry: LayerEntry) -> LayerEquations | None:
    """Those of a layer; None for one that has none here."""
    spec = entry.spec
    found = LAYERS.get(layers.name_of(spec))
    if found is None:
        return None
    if getattr(spec, "bias", True) is False:
        return replace(found, z=found.z.replace(" + {b}[f]", "").replace(" + {b}", ""))
    if getattr(spec, "flip_kernel", False):
        return replace(found, z=found.z.replace("f, c, i, j", "f, c, k_h - 1 - i, k_w - 1 - j"))
    return found


def activation_equations(entry: LayerEntry) -> ActivationEquations | None:
    """Those of the layer's activation, of its own one if it is an activation layer; None without any."""
    function = entry.activation or getattr(entry.spec, "function", None)
    return None if function is None else ACTIVATIONS.get(activations.name_of(function))


def loss_equations(loss: object, activation: object) -> tuple[LossEquations | None, bool]:
    """Those of the loss with this output activation, and whether the gradient is dl/dz rather than dl/da."""
    name, function = losses.name_of(loss), activations.name_of(activation)
    fused = FUSED.get((name, function))
    if name == "poisson" and not getattr(loss, "log_input", True):
        fused = None
    if fused is None:
        return LOSSES.get(name), False
    if getattr(loss, "label_smoothing", 0.0):
        even = "M" if function == "softmax" else "2"
        smooth = f" 'with' y <- (1 - label_smoothing) y + label_smoothing / {even}"
        return LossEquations(fused.value + smooth, fused.gradient), True
    return fused, True


def update_equations(optimizer: Optimizer) -> dict[str, str]:
    """What becomes of each vector, and of W, in a step of this optimizer."""
    name = optimizers.name_of(optimizer)
    vectors = optimizer.vector_names()
    root = "sqrt(v - mean^2)" if "mean" in vectors else "sqrt(v)"
    scaled = f"g / ({root} + eps)"
    update = "velocity" if "velocity" in vectors else scaled if name == "rmsprop" else "g"
    if getattr(optimizer, "nesterov", False):
        update = "(g + momentum velocity)"
    fill = {
        "{v}": "v_max" if "v_max" in vectors else "v",
        "{decay}": "weight_decay W - eta " if getattr(optimizer, "weight_decay", 0.0) else "",
        "{update}": update,
        "{scaled}": scaled,
    }
    equations = OPTIMIZERS.get(name, {})
    for key, value in fill.items():
        equations = {vector: equation.replace(key, value) for vector, equation in equations.items()}
    return {vector: equation for vector, equation in equations.items() if vector in (*vectors, "W")}
