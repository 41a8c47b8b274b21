"""Makes torch.json and torch.npz beside it: what PyTorch computes in ten epochs of each of the CASES below.

tests/engine/test_reference.py trains the same networks with bpcli and compares. It needs these files, not PyTorch, and
fails while CASES differs from the list that the files were made from. So after each change here:

    python tests/reference/make_reference.py

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

FOLDER = Path(__file__).resolve().parent
EPOCHS = 10

Part = dict[str, Any]  # a part of a config, {"type": name, its keys}
# Keys that every layer and every optimizer may have; what is left goes to the part's function in the tables.
LAYER_KEYS = ("type", "activation", "trainable", "learning_rate_scale")
OPTIMIZER_KEYS = ("type", "learning_rate", "weight_decay", "l1")

# --- How each part is written in PyTorch --------------------------------------------------------------------------

# The module, from the shape of one input and the layer's own keys; and bpcli's names for the module's parameters.
LAYERS: dict[str, tuple[Any, dict[str, str]]] = {
    "dense": (
        lambda torch, shape, units, bias=True: torch.nn.Linear(*shape, units, bias=bias),
        {"weight": "W", "bias": "b"},
    ),
    "flatten": (lambda torch, shape: torch.nn.Flatten(), {}),
    "activation": (lambda torch, shape, function: activation_module(torch, function), {}),
}

# The module, from the activation's own keys.
ACTIVATIONS: dict[str, Any] = {
    "identity": lambda torch: torch.nn.Identity(),
    "relu": lambda torch: torch.nn.ReLU(),
    "sigmoid": lambda torch: torch.nn.Sigmoid(),
    "softmax": lambda torch: torch.nn.Softmax(dim=-1),
    "tanh": lambda torch: torch.nn.Tanh(),
}

# Each sample's loss (N,), from the outputs a and targets y (N, M) and the loss's own keys; or, by the name of loss and
# output activation, from the logits instead of the outputs.
LOSSES: dict[str, Any] = {
    "mse": lambda torch, a, y: torch.nn.functional.mse_loss(a, y, reduction="none").mean(dim=1),
    "half_squared_error": lambda torch, a, y: 0.5 * torch.nn.functional.mse_loss(a, y, reduction="none").sum(dim=1),
    "log_likelihood, softmax": lambda torch, z, y: torch.nn.functional.cross_entropy(z, y, reduction="none"),
    "log_likelihood, sigmoid": lambda torch, z, y: torch.nn.functional.binary_cross_entropy_with_logits(
        z, y, reduction="none"
    ).sum(dim=1),
}

# The optimizer, from groups of parameters that bring their own "lr" and "weight_decay", and the optimizer's own keys.
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda torch, groups, momentum=0.0, nesterov=False: torch.optim.SGD(
        groups, momentum=momentum, nesterov=nesterov
    ),
    "adam": lambda torch, groups, beta1=0.9, beta2=0.999, eps=1e-8: torch.optim.Adam(
        groups, betas=(beta1, beta2), eps=eps
    ),
}

# The scheduler, stepped once an epoch, from the optimizer and the schedule's own keys.
SCHEDULES: dict[str, Any] = {}

# Random targets (N, M).
TARGETS: dict[str, Any] = {
    "numbers": lambda rng, n, m: rng.normal(size=(n, m)),
    "classes": lambda rng, n, m: np.eye(m)[rng.integers(m, size=n)],
    "distributions": lambda rng, n, m: rng.dirichlet(np.ones(m), size=n),
    "yes or no": lambda rng, n, m: rng.integers(2, size=(n, m)).astype(np.float64),
    "probabilities": lambda rng, n, m: rng.uniform(size=(n, m)),
}

# --- The cases ----------------------------------------------------------------------------------------------------


def dense(units: int, activation: str = "identity", **keys: Any) -> Part:
    return {"type": "dense", "units": units, "activation": activation, **keys}


def loss(kind: str, reduction: str = "mean") -> Part:
    return {"type": kind, "reduction": reduction}


def sgd(learning_rate: float, **keys: Any) -> Part:
    return {"type": "sgd", "learning_rate": learning_rate, **keys}


def adam(learning_rate: float, **keys: Any) -> Part:
    return {"type": "adam", "learning_rate": learning_rate, **keys}


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
    # layers
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
                self.rates[name] = case["optimizer"]["learning_rate"] * layer.get("learning_rate_scale", 1.0)
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
        schedule, scheduler = self.case["schedule"], None
        if schedule:
            name, keys = name_and_keys(schedule)
            scheduler = SCHEDULES[name](self.torch, self.optimizer, **keys)
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
            losses.append(total / seen if weighted else total)
            rows.append(self.row(self.parameters))
            if scheduler:
                scheduler.step()
        parameters = np.stack([*rows[:3], rows[-1]])
        return {"x": self.x, "y": self.y, "losses": np.array(losses), "parameters": parameters}


def name_and_keys(part: str | Part) -> tuple[str, Part]:
    """A part may be written as its name alone."""
    return (part, {}) if isinstance(part, str) else (part["type"], own_keys(part, ("type",)))


def activation_module(torch: Any, activation: str | Part) -> Any:
    name, keys = name_and_keys(activation)
    return ACTIVATIONS[name](torch, **keys)


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
