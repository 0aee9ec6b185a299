"""How an expression embedding reaches the denoiser: as tokens it attends to, and beside the time of every block."""

from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float
from torch import Tensor, nn

from g2m_diffusion.errors import InputError


class ExpressionCondition(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """From embeddings to condition tokens and a vector for the time embedding.

    Parameters
    ----------
    condition_dim
        Length of an expression embedding; embeddings have unit norm.
    token_dim
        Length of a token.
    kind
        "padded": one token, the embedding followed by ones (the paper's code repeats it 77 times, which attention
        cannot tell from once). "projected": learned tokens.
    tokens
        Number of learned tokens; 0 for a denoiser that attends to none.
    vector
        Whether a learned projection also gives a vector for the time embedding.

    Attributes
    ----------
    null_embedding
        Embedding of the all-zero expression vector, the condition of no condition (paper, A3); saved with the weights.
    """

    null_embedding: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        condition_dim: int,
        token_dim: int,
        kind: Literal["padded", "projected"] = "projected",
        tokens: int = 4,
        vector: bool = True,
    ) -> None:
        super().__init__()
        self.register_buffer("null_embedding", torch.zeros(condition_dim))
        self.gain = condition_dim**0.5  # brings a unit vector's numbers to unit size
        if kind == "padded":
            if condition_dim > token_dim:
                raise InputError(
                    f"condition.kind: embeddings of {condition_dim} numbers do not fit a token of {token_dim}; "
                    "use projected"
                )
            return
        if tokens:
            self.token_projection = nn.Linear(condition_dim, tokens * token_dim)
            self.token_norm = nn.LayerNorm(token_dim)
        if vector:
            self.vector_projection = nn.Linear(condition_dim, condition_dim)

    def forward(
        self, embeddings: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n token token_dim"] | None, Float[Tensor, "n dim"] | None]:
        """Tokens to attend to, and what joins the time embedding; None for what there is not."""
        config = self.config
        if config.kind == "padded":
            ones = embeddings.new_ones(len(embeddings), config.token_dim - embeddings.shape[1])
            return torch.cat([embeddings, ones], dim=1)[:, None], None
        scaled, tokens = embeddings * self.gain, None
        if config.tokens:
            tokens = self.token_norm(self.token_projection(scaled).unflatten(1, (config.tokens, config.token_dim)))
        return tokens, self.vector_projection(scaled) if config.vector else None

    def drop(self, embeddings: Float[Tensor, "n dim"], dropped: Bool[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """Put the null embedding in the place of the dropped samples' own."""
        return torch.where(dropped[:, None], self.null_embedding.to(embeddings), embeddings)
