import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from g2m_encoders.config import ExpressionSettings
from g2m_encoders.projection import ProjectionHead, drop


class ExpressionEncoder(nn.Module):
    """From a spot's normalised log expression to a unit vector (paper, Method, Phase 1).

    Linear, GELU, dropout, Linear, GELU, projection head. With the paper's square first layer over 18,248 genes it has
    352.5 million parameters.

    Parameters
    ----------
    settings
        Widths and dropout.
    genes
        Number of genes in the panel.
    embedding_dim
        Dimension of the shared space.
    """

    def __init__(self, settings: ExpressionSettings, genes: int, embedding_dim: int) -> None:
        super().__init__()
        hidden = settings.hidden or genes
        self.hidden = nn.Linear(genes, hidden)
        self.norm = nn.LayerNorm(hidden) if settings.layer_norm else nn.Identity()
        self.features = nn.Linear(hidden, settings.features)
        self.head = ProjectionHead(settings.features, embedding_dim, settings.dropout)
        self.dropout = settings.dropout
        self.hidden_noise_width = hidden if settings.dropout else 0
        self.noise_width = self.hidden_noise_width + self.head.noise_width

    def forward(
        self, expression: Float[Tensor, "batch gene"], noise: Float[Tensor, "batch noise"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Embeddings of unit norm; `noise` is (batch, noise_width), uniform in [0, 1), None = no dropout."""
        hidden_noise = head_noise = None
        if noise is not None:
            hidden_noise, head_noise = torch.split(noise, [self.hidden_noise_width, self.head.noise_width], dim=1)
        hidden = drop(functional.gelu(self.norm(self.hidden(expression))), hidden_noise, self.dropout)
        embedding: Tensor = self.head(functional.gelu(self.features(hidden)), head_noise)
        return embedding
