"""Train back-propagation neural networks from YAML files, or from Python.

    import bpcli

    run = bpcli.train("configs/iris.yaml")           # the same as on the command line, quietly
    model = bpcli.load(run.folder)                   # a run folder or a checkpoint file
    model.predict([[5.1, 3.5, 1.4, 0.2]]).labels     # ["setosa"]

The exceptions are in bpcli.errors. The engine is a library of its own: see bpcli.engine.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, without the 10 ms to import it

__version__ = "0.1.0"
__all__ = [
    "ConfigFile",
    "EvaluationResult",
    "Prediction",
    "Run",
    "TrainedModel",
    "errors",
    "load",
    "load_config",
    "resume",
    "train",
]

if TYPE_CHECKING:
    from typing import Any

    from bpcli.api import (
        ConfigFile,
        EvaluationResult,
        Prediction,
        Run,
        TrainedModel,
        errors,
        load,
        load_config,
        resume,
        train,
    )


def __getattr__(name: str) -> Any:
    """Imports the library on first use, so that `bpcli --help` starts without NumPy."""
    if name not in __all__:
        raise AttributeError(f"module 'bpcli' has no attribute {name!r}")
    from bpcli import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The public names, which are not there before their first use, and the module's own."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
