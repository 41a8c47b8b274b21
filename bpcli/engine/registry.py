"""Names of parts: `part_of` makes a class a part and registers it under a name that configs use.

    @part_of(optimizers, "momentum")
    class Momentum(Optimizer):
        momentum: Annotated[float, Between(0, 1)] = 0.9

A registry finds the modules of its folder, so a new part is one new class and nothing else. A name is first looked up
in the file of that name and then in the others, one by one, so that a config imports only the parts it uses. All files
are imported only when all names are requested.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar, dataclass_transform

from bpcli.engine.fields import check_fields
from bpcli.engine.protocols import Activation, Initializer, LayerSpec, Loss, Metric, Optimizer, Schedule
from bpcli.text import nearest

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """The parts of one kind, by name. key: under which a config gives the name where a part has other keys too."""

    def __init__(self, kind: str, package: str, key: str = "type") -> None:
        self.kind, self.key = kind, key
        self._package = package
        self._classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}
        self._elsewhere: dict[str, tuple[str, ...]] = {}
        self._complete = False

    def enter(self, cls: type[T], name: str, *aliases: str, elsewhere: str = "") -> None:
        """Registers the class under `name` and each alias; for `elsewhere` see `part_of`."""
        for key in (name, *aliases):
            if key in self._classes or key in self._aliases:
                raise ValueError(f"two parts register as {self.kind} {key!r}")
        self._classes[name] = cls
        self._aliases.update(dict.fromkeys(aliases, name))
        self._elsewhere[name] = tuple(elsewhere.split())

    def names(self) -> tuple[str, ...]:
        """Every name, without the aliases, in alphabetical order."""
        self._discover()
        return tuple(sorted(self._classes))

    def aliases(self) -> dict[str, str]:
        """The aliases, each with the name it stands for."""
        self._discover()
        return dict(sorted(self._aliases.items()))

    def nearest(self, name: str, also: Sequence[str] = ()) -> str | None:
        """The name or alias that an unknown word probably means. also: further words to choose from."""
        known = (*self.names(), *self.aliases(), *also)
        return nearest(name, known, self._elsewhere, share=0.5)  # many names are short, and other tools have others

    def __contains__(self, name: str) -> bool:
        """Whether a part has that name or alias."""
        return self._find(name) is not None

    def get(self, name: str) -> type[T]:
        """The class of that name or alias.

        Raises:
            ValueError: there is none; the message lists the names and suggests the nearest.
        """
        if (cls := self._find(name)) is not None:
            return cls
        near = self.nearest(name)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"unknown {self.kind} {name!r}, expected one of {', '.join(self.names())}{hint}")

    def holds(self, part: Any) -> bool:
        """Whether the part's class is registered here."""
        return self.has_class(type(part))

    def has_class(self, cls: type) -> bool:
        """Whether the class is registered here."""
        return cls in self._classes.values()

    def name_of(self, part: Any) -> str:
        """The name under which the part's class is registered."""
        return next(name for name, cls in self._classes.items() if type(part) is cls)

    def _find(self, name: str) -> type[T] | None:
        def known() -> type[T] | None:
            return self._classes.get(self._aliases.get(name, name))

        if known() is None:
            for file in sorted(self._files(), key=lambda file: file != name):  # the file of that name comes first
                importlib.import_module(f"{self._package}.{file}")
                if known() is not None:
                    break
        return known()

    def _files(self) -> list[str]:
        """The modules of the folder; none if all parts are in one file."""
        module = importlib.import_module(self._package)
        return [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]

    def _discover(self) -> None:
        if not self._complete:
            for file in self._files():
                importlib.import_module(f"{self._package}.{file}")
            self._complete = True


@dataclass_transform(frozen_default=True, kw_only_default=True)
def part_of(parts: Registry[Any], name: str, *aliases: str, elsewhere: str = "") -> Callable[[C], C]:
    """Decorator that makes a class a part, registered under `name` and each alias.

    elsewhere: names that other tools use for it or for something close to it; error messages suggest `name` for them.

    The class becomes a frozen dataclass with keyword-only fields. A new object's fields are checked against the ranges
    in their annotations, see `bpcli.engine.fields`; then its `__post_init__`, if it has one, makes further checks.
    """

    def make(cls: C) -> C:
        own_checks = cls.__dict__.get("__post_init__")

        def check(self: Any) -> None:
            check_fields(self)
            if own_checks is not None:
                own_checks(self)

        # shared by all parts: compiling them for every part would take half of dataclass's time
        for method, function in {
            "__post_init__": check,
            "__eq__": _equal,
            "__hash__": _hash,
            "__repr__": _repr,
        }.items():
            setattr(cls, method, function)
        dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
        parts.enter(cls, name, *aliases, elsewhere=elsewhere)
        return cls

    return make


def _values(part: Any) -> tuple[Any, ...]:
    return tuple(getattr(part, field.name) for field in fields(part))


def _equal(self: Any, other: object) -> bool:
    return type(other) is type(self) and _values(other) == _values(self)


def _hash(self: Any) -> int:
    return hash((type(self), _values(self)))


def _repr(self: Any) -> str:
    values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
    return f"{type(self).__name__}({values})"


layers: Registry[LayerSpec] = Registry("layer", "bpcli.engine.layers")
activations: Registry[Activation] = Registry("activation", "bpcli.engine.activations")
losses: Registry[Loss] = Registry("loss", "bpcli.engine.losses")
optimizers: Registry[Optimizer] = Registry("optimizer", "bpcli.engine.optimizers")
schedules: Registry[Schedule] = Registry("schedule", "bpcli.engine.schedules")
metrics: Registry[Metric] = Registry("metric", "bpcli.engine.metrics")
initializers: Registry[Initializer] = Registry("initializer", "bpcli.engine.initializers")
