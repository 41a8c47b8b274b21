"""The normal distribution, Phi(z) = erfc(-z / sqrt 2) / 2 and its density, for NumPy, which has no erf.

With x = |z| and t = (x - K) / (x + K), which takes 0..infinity to -1..1,

    Phi(-x) = exp(-x^2 / 2) P(t) / (x + K),    Phi(x) = 1 - Phi(-x)

P is a Chebyshev series of (x + K) exp(x^2 / 2) Phi(-x), written in powers of t: one polynomial for the whole line,
while Cody's rational functions (Math. Comp. 23, 1969) need three and a mask for each. The idea is Shepherd and
Laframboise's (Math. Comp. 36, 1981); K = 4.5 and the coefficients were recomputed with 40 digits. Phi is computed
directly, since 1 + erf cancels for negative z. The relative error is below 1e-15 in float64 and 5e-7 in float32,
including the far tail (where the float's own range ends, at z = -37 and -13, numbers become subnormal).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bpcli.engine.arrays import Array

BLOCK = 8192  # numbers per block: they stay in cache, and the work memory is small for any batch
K = 4.5
FAR = 40.0  # beyond it exp(-x^2 / 2) is 0 anyway, and `_gauss` could compute 0 * inf
# P, highest power first. float32 needs fewer terms.
P = {
    "float64": (
        *(1.043940767192009e-09, 2.6618525004891276e-10, -1.1250850028528653e-08, -6.170656471749237e-09),
        *(7.060112866125149e-08, 6.605162168745894e-08, -3.792594466804261e-07, -5.03744410181153e-07),
        *(2.1426749766441263e-06, 3.192062905080243e-06, -1.4235711859559065e-05, -1.5933729233684734e-05),
        *(0.00011204260702839124, 6.381295603304815e-06, -0.000917746477306371, 0.0017488305479486889),
        *(0.004223613376795666, -0.03387132617560599, 0.11138259657043245, -0.25314179995102487),
        *(0.44645251705567324, -0.6402577602526165, 0.7632305289702032),
    ),
    "float32": (
        *(-8.251686947195966e-06, 7.889599092804002e-05, -2.216792530091006e-06, -0.0008836169482902634),
        *(0.001753707938533084, 0.004206676173635178, -0.033872701710701246, 0.11138646462571856),
        *(-0.2531416318012268, 0.44645219111214784, -0.6402577661636077, 0.7632305334430405),
    ),
}


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays of one shape, cut into flat pieces of at most BLOCK numbers; the last array may be written to."""
    flags: list[Any] = [["readonly"]] * (len(arrays) - 1) + [["readwrite"]]
    with np.nditer(arrays, ["external_loop", "buffered", "zerosize_ok"], flags, buffersize=BLOCK) as pieces:
        yield from pieces


def normal(z: Array, cdf: Array, density: Array, work: Sequence[Array]) -> None:
    """Writes Phi(z) to `cdf` and exp(-z^2 / 2) / sqrt(2 pi) to `density`; overwrites the two arrays of `work`.

    All are (n,) and none overlap.
    """
    x, t = work
    np.abs(z, out=x)
    np.minimum(x, FAR, out=x)
    np.add(x, K, out=density)
    np.divide(-2.0 * K, density, out=t)
    np.add(t, 1.0, out=t)  # (x - K) / (x + K)
    first, *others = P[z.dtype.name]
    cdf.fill(first)
    for coefficient in others:
        np.multiply(cdf, t, out=cdf)
        np.add(cdf, coefficient, out=cdf)
    np.divide(cdf, density, out=cdf)
    _gauss(x, density, t)
    np.multiply(cdf, density, out=cdf)
    np.multiply(density, 1.0 / math.sqrt(2.0 * math.pi), out=density)
    np.copysign(cdf, z, out=cdf)
    np.signbit(z, out=t)  # 1 - Phi(-|z|), or 0 + Phi(-|z|) for negative z: `where=` would take four times as long
    np.subtract(1.0, t, out=t)
    np.subtract(t, cdf, out=cdf)


def _gauss(x: Array, out: Array, h: Array) -> None:
    """Writes exp(-x^2 / 2) to `out`; overwrites x and h.

    x^2 = h^2 + (x - h)(x + h), where h has so few digits that h^2 is exact. The rounding error of x^2 is small relative
    to x^2 but not relative to 1, so it would make exp(-x^2 / 2) inaccurate.
    """
    np.multiply(x, 16.0, out=h)
    np.rint(h, out=h)
    np.multiply(h, 1.0 / 16.0, out=h)
    np.add(x, h, out=out)
    np.subtract(x, h, out=x)
    np.multiply(x, out, out=x)
    np.multiply(h, h, out=h)
    for part in (x, h):
        np.multiply(part, -0.5, out=part)
        np.exp(part, out=part)
    np.multiply(x, h, out=out)
