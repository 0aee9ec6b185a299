"""The network that is trained: a U-Net and the projection of its condition, as one module."""

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import TimestepEmbedding
from jaxtyping import Float
from torch import Tensor, nn

from g2m_diffusion.codes import Shape
from g2m_diffusion.condition import ExpressionCondition
from g2m_diffusion.config import DiffusionSettings
from g2m_diffusion.errors import InputError
from g2m_diffusion.hub import from_hub


class Denoiser(nn.Module):
    """A U-Net that is told, by attention and by its time embedding, which expression to draw.

    One module rather than two, so that several processes average all gradients in one exchange.

    Parameters
    ----------
    unet
        Predicts noise or velocity.
    condition
        Gives it tokens and a vector.
    """

    def __init__(self, unet: UNet2DConditionModel, condition: ExpressionCondition) -> None:
        super().__init__()
        self.unet = unet
        self.condition = condition

    def forward(
        self, noisy: Float[Tensor, "n c h w"], time: Float[Tensor, " n"], embeddings: Float[Tensor, "n dim"]
    ) -> Float[Tensor, "n c h w"]:
        """Answer for noisy codes at their times."""
        tokens, vector = self.condition(embeddings)
        answer: Tensor = self.unet(noisy, time, encoder_hidden_states=tokens, class_labels=vector).sample
        return answer

    @classmethod
    def build(
        cls, settings: DiffusionSettings, shape: Shape, condition_dim: int, null_embedding: Float[Tensor, " dim"]
    ) -> "Denoiser":
        """Make the network a run starts with; what is not loaded is drawn from torch's global generator.

        Raises
        ------
        InputError
            `denoiser.pretrained` is not there or is no U-Net for such codes.
        """
        chosen, vector = settings.denoiser, settings.condition.in_time_embedding
        vector = vector and settings.condition.kind == "projected"
        if chosen.pretrained:
            unet = load_unet(chosen.pretrained, chosen.revision or None, condition_dim if vector else None)
            wanted = int(unet.config.in_channels), int(unet.config.out_channels)
            if wanted != (shape[0], shape[0]):
                raise InputError(
                    f"denoiser.pretrained {chosen.pretrained!r}: a U-Net from {wanted[0]} channels to {wanted[1]}, but "
                    f"codes have {shape[0]}; give the autoencoder that belongs to it"
                )
        else:
            unet = UNet2DConditionModel(**unet_config(settings, shape, condition_dim if vector else None))
        if chosen.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        condition = ExpressionCondition(
            condition_dim,
            int(unet.config.cross_attention_dim),
            kind=settings.condition.kind,
            tokens=settings.condition.tokens if chosen.pretrained or chosen.attention_levels else 0,
            vector=vector,
        )
        condition.null_embedding.copy_(null_embedding)
        return cls(unet, condition)


def unet_config(settings: DiffusionSettings, shape: Shape, vector_dim: int | None) -> dict[str, Any]:
    """Arguments of a U-Net from scratch for codes of this shape."""
    chosen, (channels, _, width) = settings.denoiser, shape
    levels = len(chosen.channels)
    attends = [level >= levels - chosen.attention_levels for level in range(levels)]
    return {
        "sample_size": width,
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": chosen.channels,
        "layers_per_block": chosen.layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if attends[-1] else "UNetMidBlock2D",
        "up_block_types": tuple("CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
        # diffusers calls the number of heads attention_head_dim
        "attention_head_dim": tuple(max(width // chosen.head_dim, 1) for width in chosen.channels),
        "cross_attention_dim": chosen.token_dim,
        "norm_num_groups": chosen.norm_groups,
        "resnet_time_scale_shift": "scale_shift",  # time and condition scale activations, not only shift them
        **vector_config(vector_dim),
    }


def vector_config(vector_dim: int | None) -> dict[str, Any]:
    """Arguments by which a U-Net adds a vector to its time embedding."""
    if vector_dim is None:
        return {}
    return {"class_embed_type": "projection", "projection_class_embeddings_input_dim": vector_dim}


def load_unet(source: str, revision: str | None, vector_dim: int | None) -> UNet2DConditionModel:
    """Load a U-Net to fine-tune, from a hub id or a folder (of the U-Net, or of a pipeline).

    Parameters
    ----------
    vector_dim
        Length of a vector to add to its time embedding, by layers whose output starts at 0: what was learned before
        stays as it is.

    Raises
    ------
    InputError
        There is none, or it wants a vector of its own.
    """
    unet: UNet2DConditionModel = from_hub(
        UNet2DConditionModel, source, part="unet", revision=revision, setting="denoiser.pretrained"
    )
    if unet.config.class_embed_type is not None or unet.config.num_class_embeds is not None:
        raise InputError(f"denoiser.pretrained {source!r}: expected a U-Net without class labels")
    if unet.config.addition_embed_type is not None or not isinstance(unet.config.cross_attention_dim, int):
        raise InputError(
            f"denoiser.pretrained {source!r}: expected a U-Net that is told nothing but time and tokens of one length, "
            "like Stable Diffusion 1's; this one (SDXL's kind) wants more"
        )
    if vector_dim is not None:
        unet.class_embedding = TimestepEmbedding(vector_dim, unet.time_embedding.linear_2.out_features)
        torch.nn.init.zeros_(unet.class_embedding.linear_2.weight)
        torch.nn.init.zeros_(unet.class_embedding.linear_2.bias)
        unet.register_to_config(**vector_config(vector_dim))
    return unet.train()
