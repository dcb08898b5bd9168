"""Integrators of SDEs and flows: one file per scheme, each acting on Vectors through System.increment.

Why own code, compared with torchsde 0.2.6, diffrax 0.7.2 and torchdiffeq 0.2.5: for general Ito noise torchsde has
Euler's scheme alone (its milstein and srk take additive, diagonal or scalar noise), and diffrax, which needs JAX,
Euler's and, where the noises commute, Milstein's; no scheme of weak order 2 and none for small noise. torchdiffeq
solves ODEs only. torchsde's state is one tensor [batch, channels], while a state here is a Vector, coefficients as
well as weights; and its Brownian motion draws the whole batch from one generator, so that a path would depend on the
paths computed beside it, while here a run's increments come from the run's own seed.
"""

from __future__ import annotations

from featlearn.sde.integrators.euler_maruyama import EulerMaruyama
from featlearn.sde.integrators.platen import Platen
from featlearn.sde.integrators.protocol import Integrator, System
from featlearn.sde.integrators.rk4 import RK4
from featlearn.sde.integrators.strang import Strang

__all__ = ["INTEGRATORS", "RK4", "EulerMaruyama", "Integrator", "Platen", "Strang", "System"]

INTEGRATORS: dict[str, type[Integrator]] = {
    "euler_maruyama": EulerMaruyama,
    "rk4": RK4,
    "strang": Strang,
    "platen": Platen,
}
