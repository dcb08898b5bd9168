"""Teacher and student: the loss is zero at the teacher."""

import pytest
import torch
from helpers import landscape_engine

from featlearn.data.gaussian import Gaussian
from featlearn.engines.protocol import Vector
from featlearn.models.teacher_student import TeacherStudent

CLOUD, SEED = Gaussian(n_samples=9, dim=4, decay=0.5), 3


@pytest.mark.parametrize("activation", ["erf", "tanh", "relu"])
def test_the_loss_is_zero_at_the_teacher_in_any_order_of_its_neurons(activation):
    model = TeacherStudent(n_hidden=3, n_teacher=3, activation=activation)
    engine = landscape_engine(model, CLOUD, SEED)
    w, v = (torch.as_tensor(leaf)[None] for leaf in model.teacher(SEED, CLOUD))
    order = [2, 0, 1]
    for point in (Vector((w, v)), Vector((w[:, order], v[:, order]))):
        assert engine.losses(point).max() < 1e-29
        gradient = engine.gradient(point, torch.full_like(engine.labels, 1 / 9))
        assert engine.inner(gradient, gradient) < 1e-29
    assert engine.losses(engine.initial()).mean() > 0.01
