"""Makes tests/reference/torch.json and torch.npz: what PyTorch computes in ten epochs of each of the CASES below.

tests/engine/test_reference.py trains the same networks with bpcli and compares. It needs these files, not PyTorch, and
fails while CASES differs from the list that the files were made from. So after each change here:

    python tests/tools/make_reference.py

Needs PyTorch and NumPy, not bpcli. Last run with Python 3.11.7, PyTorch 2.13.0+cpu and NumPy 2.4.6.

A case is written as in a bpcli config. To add one, add an entry to CASES; if it has a part that is new here, also a
line to the table of such parts (LAYERS, ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES). Only `main` imports torch, and
hands it on, so that CASES can be read without it.

torch.json holds the cases and, for each, the shapes of its parameters in the order of the rows below. torch.npz holds

    NAME.x, NAME.y    the samples, (N, ...), and their targets, (N, M)
    NAME.losses       (EPOCHS,): the mean over the epoch's batches, each before its step, weighted by samples (their sum
                      for the reduction sum). Where a batch is all samples, simply the loss before each step
    NAME.parameters   (4, P), in each row all parameters one after the other: at the start; the gradient of the first
                      batch, without penalty or clipping; after the first epoch; after the last
"""

import hashlib
import json
import platform
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "reference"
EPOCHS = 10

Part = dict[str, Any]  # a part of a config, {"type": name, its keys}
# Keys that every layer and every optimizer may have; what is left goes to the part's function in the tables.
LAYER_KEYS = ("type", "activation", "trainable", "learning_rate_scale", "bias_learning_rate_scale")
OPTIMIZER_KEYS = ("type", "learning_rate", "weight_decay", "l1")
SCHEDULE_KEYS = ("type", "by", "warmup")

# --- How each part is written in PyTorch --------------------------------------------------------------------------

# The module, from the shape of one input and the layer's own keys; and bpcli's names for the module's parameters.
LAYERS: dict[str, tuple[Any, dict[str, str]]] = {
    "dense": (
        lambda torch, shape, units, bias=True: torch.nn.Linear(*shape, units, bias=bias),
        {"weight": "W", "bias": "b"},
    ),
    "flatten": (lambda torch, shape: torch.nn.Flatten(), {}),
    "activation": (lambda torch, shape, function: activation_module(torch, function), {}),
    "conv2d": (
        lambda torch, shape, filters, kernel, **keys: conv2d_module(torch, shape, filters, kernel, **keys),
        {"weight": "W", "bias": "b"},
    ),
    "max_pool2d": (
        lambda torch, shape, size, stride=None, padding=0: torch.nn.MaxPool2d(size, stride, padding),
        {},
    ),
    "avg_pool2d": (
        lambda torch, shape, size, stride=None, padding=0: torch.nn.AvgPool2d(size, stride, padding),
        {},
    ),
    "global_avg_pool2d": (
        lambda torch, shape: torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()),
        {},
    ),
    "prelu": (lambda torch, shape, start=0.25: torch.nn.PReLU(shape[0], init=start), {"weight": "slope"}),
    "batch_norm": (
        lambda torch, shape, momentum=0.1, eps=1e-5: (
            torch.nn.BatchNorm1d(*shape, eps, momentum)
            if len(shape) == 1
            else torch.nn.BatchNorm2d(shape[0], eps, momentum)
        ),
        {"weight": "W", "bias": "b"},
    ),
    "layer_norm": (lambda torch, shape, eps=1e-5: torch.nn.LayerNorm(shape, eps), {"weight": "W", "bias": "b"}),
    "scale": (lambda torch, shape: scale_module(torch, shape), {"weight": "W"}),
    "parametric_activation": (
        lambda torch, shape, function: parametric_activation_module(torch, shape, function),
        {"weight": "W"},
    ),
    "periodic_embedding": (
        lambda torch, shape, **keys: periodic_embedding_module(torch, *shape, **keys),
        {"frequency": "frequency", "phase": "phase", "weight": "W", "bias": "b"},
    ),
}

# The module, from the activation's own keys.
ACTIVATIONS: dict[str, Any] = {
    "identity": lambda torch: torch.nn.Identity(),
    "relu": lambda torch: torch.nn.ReLU(),
    "sigmoid": lambda torch: torch.nn.Sigmoid(),
    "softmax": lambda torch: torch.nn.Softmax(dim=-1),
    "tanh": lambda torch: torch.nn.Tanh(),
    "leaky_relu": lambda torch, slope=0.01: torch.nn.LeakyReLU(slope),
    "elu": lambda torch, alpha=1.0: torch.nn.ELU(alpha),
    "selu": lambda torch: torch.nn.SELU(),
    "gelu": lambda torch, approximate="none": torch.nn.GELU(approximate),
    "silu": lambda torch: torch.nn.SiLU(),
    "mish": lambda torch: torch.nn.Mish(),
    "softplus": lambda torch: torch.nn.Softplus(),
    "softsign": lambda torch: torch.nn.Softsign(),
    "hard_sigmoid": lambda torch: hard_sigmoid_module(torch),
}

# Each sample's loss (N,), from the outputs a and targets y (N, M) and the loss's own keys; or, by the name of loss and
# output activation, from the logits instead of the outputs.
LOSSES: dict[str, Any] = {
    "mse": lambda torch, a, y: torch.nn.functional.mse_loss(a, y, reduction="none").mean(dim=1),
    "half_squared_error": lambda torch, a, y: 0.5 * torch.nn.functional.mse_loss(a, y, reduction="none").sum(dim=1),
    "log_likelihood, softmax": lambda torch, z, y, label_smoothing=0.0: torch.nn.functional.cross_entropy(
        z, y, reduction="none", label_smoothing=label_smoothing
    ),
    "log_likelihood, sigmoid": lambda torch, z, y, label_smoothing=0.0: (
        torch.nn.functional.binary_cross_entropy_with_logits(
            z, y * (1 - label_smoothing) + label_smoothing / 2, reduction="none"
        ).sum(dim=1)
    ),
    "mae": lambda torch, a, y: torch.nn.functional.l1_loss(a, y, reduction="none").mean(dim=1),
    "huber": lambda torch, a, y, delta=1.0: torch.nn.functional.huber_loss(a, y, reduction="none", delta=delta).mean(
        dim=1
    ),
    "log_cosh": lambda torch, a, y: torch.log(torch.cosh(a - y)).mean(dim=1),
    "poisson": lambda torch, a, y, **keys: torch.nn.functional.poisson_nll_loss(a, y, reduction="none", **keys).sum(
        dim=1
    ),
    "hinge": lambda torch, a, y: hinge_loss(torch, a, y),
    "focal, softmax": lambda torch, z, y, gamma=2.0: focal_loss(torch, (y * z.log_softmax(dim=1)).sum(dim=1), gamma),
    "focal, sigmoid": lambda torch, z, y, gamma=2.0: focal_loss(
        torch, torch.nn.functional.logsigmoid((2 * y - 1) * z), gamma
    ).sum(dim=1),
}

# The optimizer, from groups of parameters that bring their own "lr" and "weight_decay", and the optimizer's own keys.
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda torch, groups, momentum=0.0, nesterov=False: torch.optim.SGD(
        groups, momentum=momentum, nesterov=nesterov
    ),
    "adam": lambda torch, groups, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False: torch.optim.Adam(
        groups, betas=(beta1, beta2), eps=eps, amsgrad=amsgrad
    ),
    "adamw": lambda torch, groups, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False: torch.optim.AdamW(
        groups, betas=(beta1, beta2), eps=eps, amsgrad=amsgrad
    ),
    "nadam": lambda torch, groups, beta1=0.9, beta2=0.999, eps=1e-8, momentum_decay=0.004: torch.optim.NAdam(
        groups, betas=(beta1, beta2), eps=eps, momentum_decay=momentum_decay
    ),
    "adagrad": lambda torch, groups, initial_accumulator=0.0, eps=1e-10: torch.optim.Adagrad(
        groups, initial_accumulator_value=initial_accumulator, eps=eps
    ),
    "rmsprop": lambda torch, groups, **keys: torch.optim.RMSprop(groups, **keys),
    "rprop": lambda torch, groups, eta_minus=0.5, eta_plus=1.2, min_step=1e-6, max_step=50.0: torch.optim.Rprop(
        groups, etas=(eta_minus, eta_plus), step_sizes=(min_step, max_step)
    ),
}

# The scheduler, from the optimizer, the epochs or iterations that it is for, and the schedule's own keys.
SCHEDULES: dict[str, Any] = {
    "step": lambda optim, optimizer, length, every, gamma=0.1: optim.lr_scheduler.StepLR(optimizer, every, gamma),
    "multi_step": lambda optim, optimizer, length, at, gamma=0.1: optim.lr_scheduler.MultiStepLR(optimizer, at, gamma),
    "exponential": lambda optim, optimizer, length, gamma: optim.lr_scheduler.ExponentialLR(optimizer, gamma),
    "polynomial": lambda optim, optimizer, length, power=1.0, duration=None: optim.lr_scheduler.PolynomialLR(
        optimizer, duration or length, power
    ),
    "cosine": lambda optim, optimizer, length, end=0.0, period=None, multiplier=1: (
        optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, period, multiplier, end * first_rate(optimizer))
        if period
        else optim.lr_scheduler.CosineAnnealingLR(optimizer, length, end * first_rate(optimizer))
    ),
    "one_cycle": lambda optim, optimizer, length, warmup_share=0.3, **keys: optim.lr_scheduler.OneCycleLR(
        optimizer, first_rate(optimizer), length, pct_start=warmup_share, cycle_momentum=False, **keys
    ),
    "coslog": lambda optim, optimizer, length, cycles=4: optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: (1 - np.cos(2 * np.pi * np.log2(1 + (2**cycles - 1) * t / length))) / 2
    ),
    # PyTorch's patience bears one epoch more
    "reduce_on_plateau": lambda optim, optimizer, length, patience, min_delta, gamma=0.1, cooldown=0, floor=0.0: (
        optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=gamma,
            patience=patience - 1,
            threshold=min_delta,
            threshold_mode="abs",
            cooldown=cooldown,
            min_lr=floor * first_rate(optimizer),
            eps=0.0,
        )
    ),
}

# Random targets (N, M).
TARGETS: dict[str, Any] = {
    "numbers": lambda rng, n, m: rng.normal(size=(n, m)),
    "classes": lambda rng, n, m: np.eye(m)[rng.integers(m, size=n)],
    "distributions": lambda rng, n, m: rng.dirichlet(np.ones(m), size=n),
    "yes or no": lambda rng, n, m: rng.integers(2, size=(n, m)).astype(np.float64),
    "probabilities": lambda rng, n, m: rng.uniform(size=(n, m)),
    "counts": lambda rng, n, m: rng.poisson(2.0, size=(n, m)).astype(np.float64),
}

# --- The cases ----------------------------------------------------------------------------------------------------


def dense(units: int, activation: str | Part = "identity", **keys: Any) -> Part:
    return {"type": "dense", "units": units, "activation": activation, **keys}


def conv2d(filters: int, kernel: int | Sequence[int], activation: str = "identity", **keys: Any) -> Part:
    return {"type": "conv2d", "filters": filters, "kernel": kernel, "activation": activation, **keys}


def loss(kind: str, reduction: str = "mean", **keys: Any) -> Part:
    return {"type": kind, "reduction": reduction, **keys}


def sgd(learning_rate: float, **keys: Any) -> Part:
    return {"type": "sgd", "learning_rate": learning_rate, **keys}


def adam(learning_rate: float, **keys: Any) -> Part:
    return {"type": "adam", "learning_rate": learning_rate, **keys}


def optimizer(kind: str, learning_rate: float, **keys: Any) -> Part:
    return {"type": kind, "learning_rate": learning_rate, **keys}


def schedule(kind: str, **keys: Any) -> Part:
    """A schedule, counted by epoch where nothing else is said."""
    return {"type": kind, **keys}


def case(
    name: str,
    layers: Sequence[Part],
    loss: Part,
    optimizer: Part,
    *,
    input: Sequence[int] = (3,),
    samples: int = 6,
    target: str = "numbers",
    spread: float = 0.5,
    training: Part | None = None,
    schedule: Part | None = None,
) -> Part:
    """A case. target: one of TARGETS. spread: the standard deviation of the first weights and biases."""
    return {
        "name": name,
        "input": list(input),
        "samples": samples,
        "target": target,
        "spread": spread,
        "layers": list(layers),
        "loss": loss,
        "optimizer": optimizer,
        "schedule": schedule,
        "training": {"batch_size": "full", "shuffle": False, **(training or {})},
    }


SIGMOID = [dense(7, "sigmoid"), dense(5, "sigmoid"), dense(2)]
TANH = [dense(7, "tanh"), dense(5, "tanh"), dense(2)]
RELU = [dense(7, "relu"), dense(5, "relu"), dense(2)]
MIXED = [dense(7, "relu"), dense(5, "tanh"), dense(4, "sigmoid"), dense(2)]
MSE = loss("mse")
FLATTEN: Part = {"type": "flatten"}

CASES: list[Part] = [
    # optimizers
    case("sgd", SIGMOID, MSE, sgd(0.5)),
    case("sgd_momentum", TANH, MSE, sgd(0.1, momentum=0.9)),
    case("sgd_nesterov", RELU, MSE, sgd(0.05, momentum=0.9, nesterov=True)),
    case("sgd_weight_decay", TANH, MSE, sgd(0.2, weight_decay=0.1)),
    case("sgd_l1", SIGMOID, MSE, sgd(0.2, l1=0.02)),
    case("sgd_weight_decay_l1", RELU, MSE, sgd(0.1, weight_decay=0.05, l1=0.02)),
    case("sgd_momentum_weight_decay", SIGMOID, MSE, sgd(0.2, momentum=0.8, weight_decay=0.1)),
    case("sgd_nesterov_weight_decay", TANH, MSE, sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    case("sgd_momentum_l1", RELU, MSE, sgd(0.05, momentum=0.9, l1=0.01)),
    case("adam", TANH, MSE, adam(0.01)),
    case("adam_weight_decay", RELU, MSE, adam(0.02, weight_decay=0.1)),
    case("adam_l1", SIGMOID, MSE, adam(0.02, l1=0.01)),
    case("adam_betas_eps", SIGMOID, MSE, adam(0.05, beta1=0.6, beta2=0.9, eps=1e-3)),
    case("adam_beta1_zero", TANH, MSE, adam(0.02, beta1=0.0, beta2=0.99)),
    case("adam_amsgrad", TANH, MSE, adam(0.05, amsgrad=True, beta2=0.5)),
    case("adam_amsgrad_weight_decay", SIGMOID, MSE, adam(0.02, amsgrad=True, beta2=0.9, weight_decay=0.1)),
    case("adamw", TANH, MSE, optimizer("adamw", 0.01, weight_decay=0.01)),
    case("adamw_weight_decay", RELU, MSE, optimizer("adamw", 0.05, weight_decay=0.5, beta1=0.7, beta2=0.9, eps=1e-4)),
    case("adamw_no_decay", SIGMOID, MSE, optimizer("adamw", 0.02, weight_decay=0.0)),
    case("adamw_amsgrad", TANH, MSE, optimizer("adamw", 0.05, weight_decay=0.1, amsgrad=True, beta2=0.5)),
    case(
        "adamw_scaled_and_frozen",
        [dense(7, "tanh", learning_rate_scale=3.0), dense(5, "sigmoid", trainable=False), dense(2)],
        MSE,
        optimizer("adamw", 0.02, weight_decay=0.5),
    ),
    case("nadam", TANH, MSE, optimizer("nadam", 0.01)),
    case("nadam_weight_decay", RELU, MSE, optimizer("nadam", 0.02, weight_decay=0.1)),
    case("nadam_l1", SIGMOID, MSE, optimizer("nadam", 0.02, l1=0.01)),
    case("nadam_betas_eps", SIGMOID, MSE, optimizer("nadam", 0.05, beta1=0.6, beta2=0.9, eps=1e-3)),
    case("nadam_momentum_decay", TANH, MSE, optimizer("nadam", 0.02, momentum_decay=3.0)),
    case("nadam_long", TANH, MSE, optimizer("nadam", 0.002), samples=96, training={"batch_size": 8}),
    case("adagrad", TANH, MSE, optimizer("adagrad", 0.1)),
    case("adagrad_initial_accumulator", SIGMOID, MSE, optimizer("adagrad", 0.2, initial_accumulator=0.1, eps=1e-3)),
    case("adagrad_weight_decay", RELU, MSE, optimizer("adagrad", 0.1, weight_decay=0.1)),
    case("adagrad_l1", SIGMOID, MSE, optimizer("adagrad", 0.1, l1=0.02)),
    case("rmsprop", TANH, MSE, optimizer("rmsprop", 0.01)),
    case("rmsprop_alpha_eps", SIGMOID, MSE, optimizer("rmsprop", 0.01, alpha=0.9, eps=1e-3)),
    case("rmsprop_momentum", RELU, MSE, optimizer("rmsprop", 0.01, momentum=0.9)),
    case("rmsprop_centered", TANH, MSE, optimizer("rmsprop", 0.01, centered=True)),
    case(
        "rmsprop_centered_momentum_weight_decay",
        SIGMOID,
        MSE,
        optimizer("rmsprop", 0.01, alpha=0.9, momentum=0.8, centered=True, weight_decay=0.1),
    ),
    case("rmsprop_l1", RELU, MSE, optimizer("rmsprop", 0.01, l1=0.02)),
    case("rprop", TANH, MSE, optimizer("rprop", 0.05)),
    case("rprop_relu", RELU, MSE, optimizer("rprop", 0.3)),
    case(
        "rprop_steps",
        SIGMOID,
        MSE,
        optimizer("rprop", 0.2, eta_minus=0.3, eta_plus=1.5, min_step=0.02, max_step=0.4),
    ),
    case(
        "rprop_scaled_and_frozen",
        [dense(7, "tanh", learning_rate_scale=3.0), dense(5, "sigmoid", trainable="weights"), dense(2)],
        MSE,
        optimizer("rprop", 0.05),
    ),
    # schedules
    case("step", TANH, MSE, sgd(0.2), schedule=schedule("step", every=3, gamma=0.5)),
    case("step_warmup", SIGMOID, MSE, adam(0.05), schedule=schedule("step", every=2, gamma=0.5, warmup=3)),
    case("multi_step", TANH, MSE, sgd(0.2, momentum=0.9), schedule=schedule("multi_step", at=[2, 3, 7], gamma=0.3)),
    case("multi_step_warmup", RELU, MSE, sgd(0.1), schedule=schedule("multi_step", at=[2, 5], gamma=0.3, warmup=2)),
    case("exponential", SIGMOID, MSE, adam(0.05), schedule=schedule("exponential", gamma=0.8)),
    case(
        "exponential_by_iteration",
        TANH,
        MSE,
        sgd(0.2),
        samples=11,
        training={"batch_size": 4},
        schedule=schedule("exponential", gamma=0.9, by="iteration", warmup=5),
    ),
    case("polynomial", TANH, MSE, sgd(0.2), schedule=schedule("polynomial")),
    case("polynomial_power", RELU, MSE, sgd(0.1), schedule=schedule("polynomial", power=2.5, duration=6)),
    case(
        "polynomial_by_iteration",
        TANH,
        MSE,
        adam(0.02),
        samples=11,
        training={"batch_size": 4},
        schedule=schedule("polynomial", power=0.7, by="iteration"),
    ),
    case("cosine", TANH, MSE, sgd(0.2, momentum=0.9), schedule=schedule("cosine")),
    case("cosine_end_warmup", SIGMOID, MSE, adam(0.05), schedule=schedule("cosine", end=0.1, warmup=3)),
    case(
        "cosine_by_iteration",
        [dense(7, "tanh", learning_rate_scale=0.5), dense(2)],
        MSE,
        sgd(0.2),
        samples=11,
        training={"batch_size": 4},
        schedule=schedule("cosine", by="iteration", warmup=4),
    ),
    case("cosine_restarts", TANH, MSE, sgd(0.2), schedule=schedule("cosine", end=0.05, period=3)),
    case("cosine_longer_restarts", TANH, MSE, sgd(0.2), schedule=schedule("cosine", period=2, multiplier=2)),
    case("cosine_restarts_warmup", RELU, MSE, sgd(0.1), schedule=schedule("cosine", period=3, warmup=2)),
    case("one_cycle_by_epoch", TANH, MSE, sgd(0.5), schedule=schedule("one_cycle", by="epoch")),
    case(
        "one_cycle",
        SIGMOID,
        MSE,
        sgd(0.5, momentum=0.9),
        samples=11,
        training={"batch_size": 4},
        schedule=schedule("one_cycle", warmup_share=0.45, div_factor=10.0, final_div_factor=100.0, by="iteration"),
    ),
    case("coslog_by_epoch", TANH, MSE, sgd(0.5), schedule=schedule("coslog", by="epoch")),
    case(
        "coslog",
        SIGMOID,
        MSE,
        adam(0.05),
        samples=11,
        training={"batch_size": 4},
        schedule=schedule("coslog", cycles=3, by="iteration"),
    ),
    case("reduce_on_plateau", TANH, MSE, sgd(0.2), schedule=schedule("reduce_on_plateau", patience=2, min_delta=0.3)),
    case(
        "reduce_on_plateau_cooldown_floor",
        SIGMOID,
        MSE,
        adam(0.05),
        schedule=schedule("reduce_on_plateau", patience=1, gamma=0.4, min_delta=0.5, cooldown=2, floor=0.3),
    ),
    # losses and outputs
    case("mse_identity_mean", MIXED, loss("mse"), sgd(0.3), samples=9),
    case("mse_identity_sum", MIXED, loss("mse", "sum"), sgd(0.03), samples=9),
    case("mse_tanh", [dense(4, "relu"), dense(3, "tanh")], loss("mse"), sgd(0.3), input=[5], samples=7),
    case("mse_sigmoid_sum", [dense(6, "tanh"), dense(4, "sigmoid")], loss("mse", "sum"), sgd(0.2), input=[2]),
    case("mse_relu", [dense(6, "tanh"), dense(4, "relu")], loss("mse"), sgd(0.2), input=[5]),
    case("mse_softmax", [dense(7, "sigmoid"), dense(4, "softmax")], loss("mse"), sgd(0.8), target="classes"),
    case("mse_softmax_sum", [dense(5, "tanh"), dense(3, "softmax")], loss("mse", "sum"), adam(0.05), target="classes"),
    case("mse_hidden_softmax", [dense(5, "softmax"), dense(3)], loss("mse"), sgd(0.3), input=[4], samples=8),
    case("half_squared_error_mean", SIGMOID, loss("half_squared_error"), sgd(0.3)),
    case("half_squared_error_sum", TANH, loss("half_squared_error", "sum"), sgd(0.05), samples=5),
    case(
        "half_squared_error_softmax",
        [dense(6, "relu"), dense(4, "softmax")],
        loss("half_squared_error"),
        sgd(0.5),
        target="classes",
    ),
    case(
        "log_likelihood_softmax",
        [dense(7, "tanh"), dense(4, "softmax")],
        loss("log_likelihood"),
        sgd(0.5),
        samples=10,
        target="classes",
    ),
    case(
        "log_likelihood_softmax_sum_of_distributions",
        [dense(5, "sigmoid"), dense(6, "softmax")],
        loss("log_likelihood", "sum"),
        sgd(0.1, momentum=0.5),
        input=[4],
        target="distributions",
    ),
    case(
        "log_likelihood_one_sigmoid",
        [dense(7, "relu"), dense(5, "tanh"), dense(1, "sigmoid")],
        loss("log_likelihood"),
        adam(0.02),
        samples=8,
        target="yes or no",
    ),
    case(
        "log_likelihood_one_sigmoid_sum",
        [dense(4, "sigmoid"), dense(1, "sigmoid")],
        loss("log_likelihood", "sum"),
        sgd(0.2),
        input=[2],
        samples=7,
        target="yes or no",
    ),
    case(
        "log_likelihood_sigmoids",
        [dense(6, "tanh"), dense(4, "sigmoid")],
        loss("log_likelihood"),
        sgd(0.4),
        input=[5],
        samples=8,
        target="yes or no",
    ),
    case(
        "log_likelihood_sigmoids_sum_of_probabilities",
        [dense(6, "relu"), dense(3, "sigmoid")],
        loss("log_likelihood", "sum"),
        sgd(0.1),
        input=[5],
        samples=7,
        target="probabilities",
    ),
    # logits in the hundreds, where ln a of a computed a would be infinite
    case(
        "log_likelihood_softmax_far_out",
        [dense(7, "tanh"), dense(4, "softmax")],
        loss("log_likelihood"),
        sgd(0.5),
        target="classes",
        spread=300.0,
    ),
    case(
        "log_likelihood_sigmoids_far_out",
        [dense(7, "tanh"), dense(4, "sigmoid")],
        loss("log_likelihood"),
        sgd(0.5),
        target="yes or no",
        spread=300.0,
    ),
    # activations, in hidden layers and at the output
    *(
        case(f"{name}{at}", layers, MSE, sgd(0.1, momentum=0.9), samples=9, spread=0.8)
        for name, function in {
            "leaky_relu": "leaky_relu",
            "leaky_relu_slope": {"type": "leaky_relu", "slope": 0.3},
            "elu": "elu",
            "elu_alpha": {"type": "elu", "alpha": 0.6},
            "selu": "selu",
            "gelu": "gelu",
            "gelu_tanh": {"type": "gelu", "approximate": "tanh"},
            "silu": "silu",
            "mish": "mish",
            "softplus": "softplus",
            "softsign": "softsign",
            "hard_sigmoid": "hard_sigmoid",
        }.items()
        for at, layers in {
            "": [dense(7, function), dense(5, function), dense(2)],
            "_output": [dense(7, "tanh"), dense(3, function)],
        }.items()
    ),
    # losses, over samples a mean or a sum
    *(
        case(
            f"{name}_{reduction}",
            [dense(7, "tanh"), dense(units, output)],
            loss(kind, reduction, **keys),
            sgd(0.05 if reduction == "mean" else 0.01, momentum=0.9),
            samples=9,
            target=target,
            spread=0.8,
        )
        for reduction in ("mean", "sum")
        for name, kind, keys, units, output, target in [
            ("mae", "mae", {}, 3, "identity", "numbers"),
            ("mae_softmax", "mae", {}, 4, "softmax", "distributions"),
            ("huber", "huber", {}, 3, "identity", "numbers"),
            ("huber_delta", "huber", {"delta": 0.4}, 3, "tanh", "numbers"),
            ("log_cosh", "log_cosh", {}, 3, "identity", "numbers"),
            ("poisson", "poisson", {}, 3, "identity", "counts"),
            ("poisson_rate", "poisson", {"log_input": False}, 3, "softplus", "counts"),
            ("poisson_eps", "poisson", {"log_input": False, "eps": 0.1}, 3, "hard_sigmoid", "counts"),
            ("hinge", "hinge", {}, 1, "identity", "yes or no"),
            ("hinge_classes", "hinge", {}, 4, "identity", "classes"),
            ("hinge_tanh", "hinge", {}, 3, "tanh", "classes"),
            ("focal_softmax", "focal", {}, 4, "softmax", "classes"),
            ("focal_softmax_gamma", "focal", {"gamma": 0.5}, 4, "softmax", "classes"),
            ("focal_sigmoids", "focal", {}, 3, "sigmoid", "yes or no"),
            ("focal_one_sigmoid_gamma", "focal", {"gamma": 1.3}, 1, "sigmoid", "yes or no"),
            ("smoothed_softmax", "log_likelihood", {"label_smoothing": 0.1}, 4, "softmax", "classes"),
            ("smoothed_sigmoids", "log_likelihood", {"label_smoothing": 0.2}, 3, "sigmoid", "yes or no"),
        ]
    ),
    # layers
    case("prelu", [dense(7), {"type": "prelu"}, dense(5), {"type": "prelu", "start": -0.1}, dense(2)], MSE, sgd(0.1)),
    case(
        "prelu_decay",
        [{"type": "prelu"}, dense(5, "tanh"), {"type": "prelu"}, dense(2)],
        MSE,
        adam(0.02, weight_decay=0.1, l1=0.05),
    ),
    case("prelu_images", [{"type": "prelu"}, {"type": "flatten"}, dense(2)], MSE, sgd(0.1), input=[2, 3, 4], samples=5),
    case(
        "scale", [{"type": "scale", "learning_rate_scale": 6.0}, dense(5, "tanh"), {"type": "scale"}], MSE, adam(0.02)
    ),
    case("scale_images", [{"type": "scale"}, {"type": "flatten"}, dense(2)], MSE, sgd(0.1), input=[2, 3, 4], samples=5),
    case(
        "parametric_activation",
        [
            dense(7),
            {"type": "parametric_activation", "function": "mish", "learning_rate_scale": 0.1},
            dense(5),
            {"type": "parametric_activation", "function": "selu"},
            dense(2),
        ],
        MSE,
        adam(0.02),
    ),
    case(
        "parametric_activation_images",
        [{"type": "parametric_activation", "function": "relu"}, {"type": "flatten"}, dense(2)],
        MSE,
        sgd(0.1),
        input=[2, 3, 4],
        samples=5,
    ),
    case(
        "periodic_embedding",
        [{"type": "periodic_embedding", "learning_rate_scale": 0.1}, dense(5, "tanh"), dense(2)],
        MSE,
        adam(0.02),
    ),
    case(
        "periodic_embedding_of_columns",
        [
            dense(5, "tanh"),
            {"type": "periodic_embedding", "columns": 2, "frequencies": 3, "units": 3, "sigma": 1.0},
            dense(2),
        ],
        MSE,
        sgd(0.02),
        samples=9,
    ),
    case("one_layer", [dense(2)], MSE, sgd(0.1), input=[5], samples=4),
    case("one_sample", TANH, MSE, sgd(0.1), samples=1),
    case(
        "no_biases",
        [dense(7, "sigmoid", bias=False), dense(5, "tanh", bias=False), dense(2, bias=False)],
        MSE,
        sgd(0.2, momentum=0.9, weight_decay=0.01),
    ),
    case("flatten", [{"type": "flatten"}, dense(5, "tanh"), dense(2)], MSE, sgd(0.1), input=[2, 3, 4], samples=5),
    case("activation_as_a_layer", [dense(7), {"type": "activation", "function": "tanh"}, dense(2)], MSE, sgd(0.1)),
    case("no_biases_in_one_layer", [dense(7, "relu"), dense(5, "tanh", bias=False), dense(2)], MSE, adam(0.02)),
    case(
        "frozen_layer",
        [dense(7, "tanh"), dense(5, "sigmoid", trainable=False), dense(2)],
        MSE,
        sgd(0.2, momentum=0.9, weight_decay=0.1),
    ),
    case("frozen_first_layer", [dense(7, "relu", trainable=False), dense(2)], MSE, adam(0.02, weight_decay=0.1)),
    case(
        "only_weights_learn",
        [dense(7, "tanh"), dense(5, "sigmoid", trainable="weights"), dense(2)],
        MSE,
        sgd(0.2, momentum=0.9, weight_decay=0.05),
    ),
    case(
        "only_biases_learn",
        [dense(7, "tanh"), dense(5, "sigmoid", trainable="biases"), dense(2, trainable="biases")],
        MSE,
        adam(0.05, l1=0.05),
    ),
    case(
        "learning_rate_scale_sgd",
        [dense(7, "tanh", learning_rate_scale=3.0), dense(5, "relu"), dense(2, learning_rate_scale=0.25)],
        MSE,
        sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    ),
    case(
        "learning_rate_scale_adam",
        [dense(7, "sigmoid", learning_rate_scale=0.5), dense(5, "tanh", learning_rate_scale=0.0), dense(2)],
        MSE,
        adam(0.02, weight_decay=0.05),
    ),
    case(
        "learning_rate_scale_by_fan_in",
        [
            dense(7, "selu", learning_rate_scale="inverse_sqrt_fan_in", bias_learning_rate_scale=0.1),
            dense(5, "tanh", learning_rate_scale="inverse_sqrt_fan_in"),
            dense(2, learning_rate_scale=0.5, bias_learning_rate_scale=0.0),
        ],
        MSE,
        adam(0.05, beta2=0.95),
    ),
    case(
        "learning_rate_scale_by_fan_in_of_images",
        [conv2d(3, 2, "tanh", learning_rate_scale="inverse_sqrt_fan_in"), FLATTEN, dense(2)],
        MSE,
        adam(0.02),
        input=[2, 4, 5],
    ),
    # images
    case("conv2d", [conv2d(3, 3, "tanh"), FLATTEN, dense(2)], MSE, sgd(0.05), input=[2, 6, 5]),
    case(
        "batch_norm",
        [dense(5, bias=False), {"type": "batch_norm", "activation": "tanh"}, dense(2)],
        MSE,
        sgd(0.05),
        input=[3],
    ),
    case(
        "batch_norm_of_images",
        [conv2d(3, 2, bias=False), {"type": "batch_norm", "eps": 1e-3, "activation": "relu"}, FLATTEN, dense(2)],
        MSE,
        sgd(0.05),
        input=[2, 4, 5],
    ),
    case("layer_norm", [dense(5), {"type": "layer_norm", "activation": "tanh"}, dense(2)], MSE, sgd(0.05), input=[3]),
    case(
        "layer_norm_of_images",
        [conv2d(3, 2), {"type": "layer_norm", "eps": 1e-3, "activation": "tanh"}, FLATTEN, dense(2)],
        MSE,
        sgd(0.05),
        input=[2, 4, 5],
    ),
    case(
        "conv2d_stride_padding",
        [conv2d(4, 3, "tanh", stride=2, padding=1), conv2d(3, 2), FLATTEN, dense(2)],
        MSE,
        adam(0.02),
        input=[2, 7, 10],
    ),
    case(
        "conv2d_pairs",
        [conv2d(3, [3, 2], "sigmoid", stride=[1, 2], padding=[0, 3], dilation=[2, 1]), FLATTEN, dense(2)],
        MSE,
        sgd(0.1, momentum=0.9, weight_decay=0.01),
        input=[3, 8, 7],
    ),
    case(
        "conv2d_same_dilation",
        [
            conv2d(3, 3, "relu", padding="same", dilation=2),
            conv2d(2, [4, 3], "tanh", padding="same"),
            FLATTEN,
            dense(2),
        ],
        MSE,
        sgd(0.005),
        input=[2, 5, 6],
    ),
    case(
        "conv2d_flip_kernel",
        [
            conv2d(3, 3, "tanh", padding="same", flip_kernel=True),
            conv2d(2, [2, 4], "tanh", padding="same", flip_kernel=True, bias=False),
            conv2d(4, [3, 2], stride=[2, 1], padding=1, flip_kernel=True),
            FLATTEN,
            dense(2),
        ],
        MSE,
        sgd(0.005),
        input=[2, 6, 5],
    ),
    case(
        "max_pool2d",
        [conv2d(3, 2, "tanh"), {"type": "max_pool2d", "size": 2}, FLATTEN, dense(2)],
        MSE,
        sgd(0.1),
        input=[2, 8, 6],
    ),
    case(
        "max_pool2d_overlap",
        [
            conv2d(3, 2, "relu"),
            {"type": "max_pool2d", "size": 3, "stride": 1, "padding": 1},
            conv2d(4, 2, "relu", padding=1),
            {"type": "max_pool2d", "size": [3, 2], "stride": [2, 3], "padding": [1, 0]},
            FLATTEN,
            dense(2),
        ],
        MSE,
        sgd(0.05),
        input=[2, 7, 9],
    ),
    case(
        "avg_pool2d",
        [
            conv2d(3, 2, "tanh"),
            {"type": "avg_pool2d", "size": 2},
            conv2d(2, 2, "tanh", padding=1),
            {"type": "avg_pool2d", "size": [2, 3], "stride": [1, 2], "padding": 1},
            FLATTEN,
            dense(2),
        ],
        MSE,
        sgd(0.1),
        input=[2, 8, 7],
    ),
    case(
        "global_avg_pool2d",
        [conv2d(5, 3, "tanh"), {"type": "global_avg_pool2d"}, dense(2)],
        MSE,
        sgd(0.2),
        input=[2, 6, 5],
    ),
    case(
        "lenet",
        [
            conv2d(3, 3, "relu", padding=1),
            {"type": "max_pool2d", "size": 2},
            conv2d(4, 3, "relu"),
            {"type": "max_pool2d", "size": 2},
            FLATTEN,
            dense(8, "relu"),
            dense(3, "softmax"),
        ],
        loss("log_likelihood"),
        adam(0.01),
        input=[1, 12, 14],
        samples=11,
        target="classes",
        training={"batch_size": 4, "shards": 2},
    ),
    # clipping
    case("clip_norm_sgd", TANH, loss("mse", "sum"), sgd(0.1, momentum=0.9), training={"clip_norm": 3.0}),
    case("clip_norm_adam_l1", RELU, loss("mse", "sum"), adam(0.05, l1=0.05), training={"clip_norm": 1.5}),
    case(
        "clip_norm_frozen_weight_decay",
        [dense(7, "tanh"), dense(5, "sigmoid"), dense(2, trainable="weights")],
        loss("mse", "sum"),
        sgd(0.1, weight_decay=0.1),
        training={"clip_norm": 2.0},
    ),
    # batches
    case("batches", SIGMOID, MSE, sgd(0.3, momentum=0.9), samples=11, training={"batch_size": 4}),
    case(
        "batches_sum",
        [dense(7, "relu"), dense(3, "softmax")],
        loss("log_likelihood", "sum"),
        adam(0.02),
        samples=11,
        target="classes",
        training={"batch_size": 4},
    ),
    case("batches_clip_norm", RELU, MSE, sgd(0.2), samples=11, training={"batch_size": 3, "clip_norm": 1.5}),
    case("batches_of_one", TANH, MSE, sgd(0.05), samples=5, training={"batch_size": 1}),
    case("batches_drop_last", TANH, MSE, adam(0.02), samples=11, training={"batch_size": 4, "drop_last": True}),
    # bpcli splits each batch, PyTorch does not
    case("shards", TANH, MSE, sgd(0.2), samples=11, training={"shards": 3}),
    case(
        "shards_of_batches",
        [dense(7, "sigmoid"), dense(3, "softmax")],
        loss("log_likelihood"),
        adam(0.02),
        samples=11,
        target="classes",
        training={"batch_size": 4, "shards": 2},
    ),
]


def fingerprint(cases: list[Part]) -> str:
    """SHA-256 of the list."""
    return hashlib.sha256(json.dumps(cases, sort_keys=True).encode()).hexdigest()


# --- The run ------------------------------------------------------------------------------------------------------


def own_keys(part: Part, common: Sequence[str]) -> Part:
    return {key: value for key, value in part.items() if key not in common}


def rate_scale(layer: Part, name: str, parameter: Any) -> float:
    """The factor on the learning rate of a parameter of the layer."""
    scale, of_biases = layer.get("learning_rate_scale", 1.0), layer.get("bias_learning_rate_scale")
    if name == "b" and of_biases is not None:
        return of_biases
    if scale == "inverse_sqrt_fan_in":
        return 1.0 if name == "b" else parameter[0].numel() ** -0.5
    return scale


class Reference:
    """A case in PyTorch: its network, samples and optimizer."""

    def __init__(self, torch: Any, case: Part) -> None:
        self.torch, self.case = torch, case
        rng = np.random.default_rng(seed_of(case))
        self.modules, self.parameters = [], {}
        self.rates, self.learns, self.decays = {}, {}, {}
        shape = tuple(case["input"])
        counts: dict[str, int] = {}
        for layer in case["layers"]:
            kind = layer["type"]
            make, names = LAYERS[kind]
            counts[kind] = counts.get(kind, 0) + 1
            module = make(torch, shape, **own_keys(layer, LAYER_KEYS))
            self.modules += [module, activation_module(torch, layer.get("activation", "identity"))]
            shape = tuple(module(torch.zeros(2, *shape)).shape[1:])
            for torch_name, parameter in module.named_parameters():
                name = f"{kind}_{counts[kind]}.{names[torch_name]}"
                values = rng.normal(scale=case["spread"], size=tuple(parameter.shape))
                parameter.data.copy_(torch.from_numpy(values))
                self.parameters[name] = parameter
                self.decays[name] = names[torch_name] == "W"
                self.learns[name] = layer.get("trainable", True) in (True, "weights" if self.decays[name] else "biases")
                self.rates[name] = case["optimizer"]["learning_rate"] * rate_scale(layer, names[torch_name], parameter)
        self.x = rng.normal(size=(case["samples"], *case["input"]))
        self.y = TARGETS[case["target"]](rng, case["samples"], *shape)
        self.optimizer = self._optimizer()

    def _optimizer(self) -> Any:
        written = self.case["optimizer"]
        groups = [
            {
                "params": [self.parameters[name]],
                "lr": rate,
                "weight_decay": written.get("weight_decay", 0.0) if self.decays[name] else 0.0,
            }
            for name, rate in self.rates.items()
            if self.learns[name]
        ]
        return OPTIMIZERS[written["type"]](self.torch, groups, **own_keys(written, OPTIMIZER_KEYS))

    def _scheduler(self) -> Any:
        written = self.case["schedule"]
        if not written:
            return None
        optim, warmup = self.torch.optim, written.get("warmup", 0)
        length = EPOCHS * (len(list(self.batches())) if written.get("by") == "iteration" else 1) - warmup
        keys = own_keys(written, SCHEDULE_KEYS)
        if not warmup:
            return SCHEDULES[written["type"]](optim, self.optimizer, length, **keys)
        rise = optim.lr_scheduler.LinearLR(self.optimizer, 1 / (warmup + 1), total_iters=warmup)
        proper = SCHEDULES[written["type"]](optim, self.optimizer, length, **keys)
        return optim.lr_scheduler.SequentialLR(self.optimizer, [rise, proper], [warmup])

    def loss(self, rows: slice) -> Any:
        """The loss of a batch, a scalar that gradients can be asked of."""
        z = self.torch.from_numpy(self.x[rows])
        y = self.torch.from_numpy(self.y[rows])
        for module in self.modules[:-1]:
            z = module(z)
        written = self.case["loss"]
        keys = own_keys(written, ("type", "reduction"))
        activation, _ = name_and_keys(self.case["layers"][-1].get("activation", "identity"))
        from_logits = LOSSES.get(f"{written['type']}, {activation}")
        if from_logits:
            each = from_logits(self.torch, z, y, **keys)
        else:
            each = LOSSES[written["type"]](self.torch, self.modules[-1](z), y, **keys)
        assert each.shape == (len(y),)
        return each.mean() if written["reduction"] == "mean" else each.sum()

    def gradients(self, value: Any) -> dict[str, Any]:
        """The derivative by each parameter, frozen or not."""
        return dict(zip(self.parameters, self.torch.autograd.grad(value, self.parameters.values()), strict=True))

    def step(self, gradients: dict[str, Any]) -> None:
        """Clips to clip_norm / norm, where torch.nn.utils.clip_grad_norm_ has norm + 1e-6; adds l1 sum|W|; updates."""
        gradients = {name: gradient for name, gradient in gradients.items() if self.learns[name]}
        norm = self.torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
        clip_norm, l1 = self.case["training"].get("clip_norm"), self.case["optimizer"].get("l1", 0.0)
        for name, gradient in gradients.items():
            parameter = self.parameters[name]
            parameter.grad = gradient * (clip_norm / norm) if clip_norm and norm > clip_norm else gradient
            if l1 and self.decays[name]:
                (penalty_gradient,) = self.torch.autograd.grad(l1 * parameter.abs().sum(), parameter)
                parameter.grad = parameter.grad + penalty_gradient
        self.optimizer.step()

    def batches(self) -> Iterator[slice]:
        """An epoch's batches, in the samples' own order."""
        n, training = self.case["samples"], self.case["training"]
        size = n if training["batch_size"] == "full" else training["batch_size"]
        for low in range(0, n, size):
            if low + size <= n or not training.get("drop_last", False):
                yield slice(low, min(low + size, n))

    def row(self, arrays: dict[str, Any]) -> np.ndarray:
        """All arrays one after the other."""
        return np.concatenate([array.detach().numpy().ravel() for array in arrays.values()])

    def run(self) -> dict[str, np.ndarray]:
        """Trains, and gives what is stored of the case."""
        schedule, scheduler = self.case["schedule"] or {}, self._scheduler()
        weighted = self.case["loss"]["reduction"] == "mean"
        start, rows, losses = self.row(self.parameters), [], []
        for _ in range(EPOCHS):
            total, seen = 0.0, 0
            for batch in self.batches():
                n = batch.stop - batch.start
                value = self.loss(batch)
                gradients = self.gradients(value)
                if not rows:
                    rows = [start, self.row(gradients)]
                total, seen = total + value.item() * (n if weighted else 1), seen + n
                self.step(gradients)
                if scheduler and schedule.get("by") == "iteration":
                    scheduler.step()
            losses.append(total / seen if weighted else total)
            rows.append(self.row(self.parameters))
            if scheduler and schedule.get("by", "epoch") == "epoch":
                scheduler.step(*(losses[-1:] if schedule["type"] == "reduce_on_plateau" else []))
        parameters = np.stack([*rows[:3], rows[-1]])
        return {"x": self.x, "y": self.y, "losses": np.array(losses), "parameters": parameters}


def name_and_keys(part: str | Part) -> tuple[str, Part]:
    """A part may be written as its name alone."""
    return (part, {}) if isinstance(part, str) else (part["type"], own_keys(part, ("type",)))


def first_rate(optimizer: Any) -> float:
    """The learning rate of the first group before any schedule."""
    return optimizer.param_groups[0].get("initial_lr", optimizer.param_groups[0]["lr"])


def activation_module(torch: Any, activation: str | Part) -> Any:
    name, keys = name_and_keys(activation)
    return ACTIVATIONS[name](torch, **keys)


def hard_sigmoid_module(torch: Any) -> Any:
    """As torch.nn.Hardsigmoid, which has 1/6 rounded to float32 and so is no reference in float64."""

    class HardSigmoid(torch.nn.Module):
        def forward(self, z: Any) -> Any:
            return torch.nn.functional.relu6(z + 3) / 6

    return HardSigmoid()


def for_each_channel(weight: Any, x: Any) -> Any:
    """weight (C,) so that it multiplies x (N, C, ...)."""
    return weight.reshape(-1, *[1] * (x.ndim - 2))


def scale_module(torch: Any, shape: Sequence[int]) -> Any:
    class Scale(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(shape[0]))

        def forward(self, x: Any) -> Any:
            return for_each_channel(self.weight, x) * x

    return Scale()


def parametric_activation_module(torch: Any, shape: Sequence[int], function: str | Part) -> Any:
    class ParametricActivation(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(shape[0]))
            self.function = activation_module(torch, function)

        def forward(self, x: Any) -> Any:
            return x + for_each_channel(self.weight, x) * (self.function(x) - x)

    return ParametricActivation()


def periodic_embedding_module(
    torch: Any, inputs: int, columns: int | None = None, frequencies: int = 16, units: int = 4, sigma: float = 0.1
) -> Any:
    embedded = columns or inputs

    class PeriodicEmbedding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frequency = torch.nn.Parameter(torch.zeros(embedded, frequencies))
            self.phase = torch.nn.Parameter(torch.zeros(embedded, frequencies))
            self.weight = torch.nn.Parameter(torch.zeros(embedded, units - 1, frequencies))
            self.bias = torch.nn.Parameter(torch.zeros(embedded, units - 1))

        def forward(self, x: Any) -> Any:
            wave = torch.cos(2 * torch.pi * x[:, :embedded, None] * self.frequency + self.phase)
            z = torch.einsum("nck,cuk->ncu", wave, self.weight) + self.bias
            return torch.cat([z.flatten(start_dim=1), x], dim=1)

    return PeriodicEmbedding()


def hinge_loss(torch: Any, a: Any, y: Any) -> Any:
    """1 - margin where that is positive: for one output, or against the highest of the other classes."""
    if a.shape[1] == 1:
        return (1 - (2 * y - 1) * a).clamp(min=0).squeeze(1)
    right = (a * y).sum(dim=1)
    return (1 - right + a.masked_fill(y > 0.5, -torch.inf).amax(dim=1)).clamp(min=0)


def focal_loss(torch: Any, log_p: Any, gamma: float) -> Any:
    return -((1 - log_p.exp()) ** gamma) * log_p


def conv2d_module(
    torch: Any,
    shape: Sequence[int],
    filters: int,
    kernel: Any,
    *,
    padding: Any = 0,
    flip_kernel: bool = False,
    **keys: Any,
) -> Any:
    """torch.nn.Conv2d; turned by 180 degrees in its forward pass for flip_kernel."""

    class Conv2d(torch.nn.Conv2d):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return self._conv_forward(x, self.weight.flip(2, 3) if flip_kernel else self.weight, self.bias)

    return Conv2d(shape[0], filters, kernel, padding=padding, **keys)


def seed_of(case: Part) -> int:
    """From the name, so that a new case leaves the numbers of the others as they are."""
    return zlib.crc32(case["name"].encode())


def main() -> None:
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    arrays, shapes = {}, {}
    for case in CASES:
        reference = Reference(torch, case)
        found = reference.run()
        arrays |= {f"{case['name']}.{key}": array for key, array in found.items()}
        shapes[case["name"]] = {name: list(parameter.shape) for name, parameter in reference.parameters.items()}
        print(f"{case['name']:48} loss {found['losses'][0]:.6g} -> {found['losses'][-1]:.6g}")
    np.savez_compressed(FOLDER / "torch.npz", **arrays)
    stored = {
        "made_with": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "cases_sha256": fingerprint(CASES),
        "npz_sha256": hashlib.sha256((FOLDER / "torch.npz").read_bytes()).hexdigest(),
        "cases": CASES,
        "parameters": shapes,
    }
    (FOLDER / "torch.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
