"""The continuous limits of the rules: flows and SDEs, which take the place of a rule in the same loop.

A limit says what a rule does on one mini-batch (limit.py, one file a rule); systems.py makes drift and noise of it;
integrators/ advance them; dynamics.py is the rule that does so in one step of the loop.
"""

from featlearn.sde.dynamics import Dynamics, Settings
from featlearn.sde.integrators import INTEGRATORS
from featlearn.sde.limits import LIMITS

__all__ = ["INTEGRATORS", "LIMITS", "Dynamics", "Settings"]
