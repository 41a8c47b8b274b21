"""Full-batch methods on NIST's certified nonlinear regressions, as small networks: see tests/tools/compare_nist.py."""

from __future__ import annotations

import pytest
from tools.compare_nist import NEAR, NETWORKS, SCIPY, Fit, fitted, methods, problems, scipy_fitted

STARTS = [(name, start) for name in NETWORKS for start in (0, 1)]

# From these starts a method ends elsewhere: lbfgs on a plateau, where scipy's L-BFGS-B ends too; the methods of first
# order in valleys that are 10^8 times as long as they are wide.
NOT_REACHED = {
    "lbfgs": {("Rat43", 0)},
    "levenberg_marquardt": set(),
    "scaled_conjugate_gradient": {(name, start) for name, start in STARTS if name in ("Misra1a", "Misra1d", "MGH17")}
    | {("Lanczos3", 0), ("Lanczos3", 1)},
    "gradient_descent_adaptive": set(STARTS) - {("DanWood", 0)},
}


def reached(fit: Fit) -> bool:
    return abs(fit.error()) <= NEAR


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_has_the_certified_residuals_at_the_certified_parameters(name: str) -> None:
    assert reached(Fit(name, problems()[name]["certified"], methods()["lbfgs"]))


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", ["Misra1d", "BoxBOD"])
def test_lbfgs_continues_when_a_step_lowers_the_loss_by_less_than_rounding(name: str, start: int) -> None:
    assert reached(fitted(name, start, methods()["lbfgs"]))


def test_every_full_batch_method_is_compared() -> None:
    assert set(NOT_REACHED) == set(methods())


@pytest.mark.long
@pytest.mark.parametrize(("name", "start"), STARTS)
@pytest.mark.parametrize("method", NOT_REACHED)
def test_the_certified_optimum_is_reached(method: str, name: str, start: int) -> None:
    assert reached(fitted(name, start, methods()[method])) == ((name, start) not in NOT_REACHED[method])


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "peer"),
    [("levenberg_marquardt", "lm"), ("lbfgs", "L-BFGS-B"), ("scaled_conjugate_gradient", "CG")],
)
def test_as_many_starts_end_well_as_with_scipy(method: str, peer: str) -> None:
    pytest.importorskip("scipy", reason="scipy is not installed: the extra `bench` has it")
    assert peer in SCIPY
    own = len(STARTS) - len(NOT_REACHED[method])
    assert own >= sum(reached(scipy_fitted(name, start, peer)) for name, start in STARTS)
