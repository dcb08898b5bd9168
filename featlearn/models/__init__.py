"""Models: one file each. All but the two-layer network on patches are landscapes, for the weight engine."""

from featlearn.models.beale import Beale
from featlearn.models.bump import Bump
from featlearn.models.diagonal_network import DiagonalNetwork
from featlearn.models.landscape import Landscape
from featlearn.models.linear_autoencoder import LinearAutoencoder
from featlearn.models.mlp import MLP
from featlearn.models.product import Product
from featlearn.models.quadratic import Quadratic
from featlearn.models.saddle import Saddle
from featlearn.models.teacher_student import TeacherStudent
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.models.two_valleys import TwoValleys
from featlearn.models.valley import Valley

MODELS: dict[str, type] = {
    "two_layer_cnn": TwoLayerCNN,
    "quadratic": Quadratic,
    "valley": Valley,
    "product": Product,
    "saddle": Saddle,
    "beale": Beale,
    "bump": Bump,
    "two_valleys": TwoValleys,
    "linear_autoencoder": LinearAutoencoder,
    "teacher_student": TeacherStudent,
    "mlp": MLP,
    "diagonal_network": DiagonalNetwork,
}

__all__ = ["MODELS", "Landscape", "TwoLayerCNN"]
