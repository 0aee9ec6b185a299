"""The projection head that both encoders end in, and dropout whose masks are handed in."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def drop(
    x: Float[Tensor, "batch width"], uniform: Float[Tensor, "batch noise"] | None, p: float
) -> Float[Tensor, "batch width"]:
    """Dropout with given uniform numbers in [0, 1), one for each element where p > 0, or none at all.

    The numbers come from outside because a sample's mask must depend on that sample's key alone: then two
    processes, each with half a batch, drop what one process would.
    """
    if uniform is None or p == 0:
        return x
    return x * (uniform >= p) / (1 - p)


class ProjectionHead(nn.Module):
    """Linear, then a residual Linear behind GELU and dropout (paper, Method, Phase 1).

    Parameters
    ----------
    features, embedding_dim
        Input and output width.
    dropout
        Of the residual branch, applied where noise is handed in.
    """

    def __init__(self, features: int, embedding_dim: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(features, embedding_dim)
        self.residual = nn.Linear(embedding_dim, embedding_dim)
        self.dropout = dropout
        self.noise_width = embedding_dim if dropout else 0

    def forward(
        self, h: Float[Tensor, "batch feature"], noise: Float[Tensor, "batch noise"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Unit vectors; `noise` is (batch, noise_width), uniform in [0, 1), None = no dropout."""
        projected = self.project(h)
        residual = drop(self.residual(functional.gelu(projected)), noise, self.dropout)
        return functional.normalize(projected + residual, dim=-1)
