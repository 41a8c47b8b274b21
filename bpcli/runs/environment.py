"""The environment of a run: what the exact bits of a result can depend on beside the config, the data and the seed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bpcli import __version__


@cache
def environment() -> dict[str, str]:
    """Each part by name; the empty text for a part that cannot be found out.

    The number of threads is not included: results do not depend on it.
    """
    return {
        "bpcli": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "numpy_build": _numpy_build(),
        "simd": " ".join(_numpy_config("SIMD Extensions").get("found", ())),
        "blas": _blas(),
        "libc": _libc(),
    }


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The differences, as text; a part that is missing in one of the two is not compared."""
    return [f"{name} {before[name]} -> {now[name]}" for name in now if before.get(name, now[name]) != now[name]]


def _cpu() -> str:
    """The processor's model, as /proc/cpuinfo names it on Linux."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _numpy_build() -> str:
    """The compiler that NumPy was built with."""
    compiler = _numpy_config("Compilers").get("c", {})
    return f"{compiler.get('name', '')} {compiler.get('version', '')}".strip()


def _numpy_config(section: str) -> Mapping[str, Any]:
    config: Any = np.show_config(mode="dicts")
    return dict(config.get(section, {}))


def _blas() -> str:
    """The library that matrix products run in, its version, and the kernels that it chose for this processor."""
    from threadpoolctl import threadpool_info

    found = [entry for entry in threadpool_info() if entry["user_api"] == "blas"]
    return ", ".join(
        " ".join(str(entry[key]) for key in ("internal_api", "version", "architecture") if entry.get(key))
        for entry in found
    )


def _libc() -> str:
    """The C library, whose exp and pow some results pass through."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""
