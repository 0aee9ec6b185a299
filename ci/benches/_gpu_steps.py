"""Training steps of the paper's recipes, on a GPU or on one that is not there: its shapes, random weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

Make = Callable[[Any, bool], tuple[Any, dict[str, Any]]]  # device, small -> task and a batch
DIM, GENES, PIXELS = 512, 18_248, 128


def gan(stage: int) -> Make:
    """StyleGAN-G at 64 or 128 px over Owkin's ViT-B, guided by UNI's ViT-L."""

    def make(device: Any, small: bool) -> tuple[Any, dict[str, Any]]:
        import torch
        from torch import nn

        from g2m_encoders import MultilevelFeatures
        from g2m_gan import PRESETS, GanTask

        class Guide(nn.Module):
            """Phase 1's image encoder: UNI and a head."""

            def __init__(self) -> None:
                super().__init__()
                self.backbone = transformer("vit_large_patch16_224", small)
                self.head = nn.Linear(self.backbone.num_features, DIM)

            def forward(self, images: Any) -> Any:
                resized = nn.functional.interpolate(images, (224, 224), mode="area")
                return nn.functional.normalize(self.head(self.backbone(resized)), dim=1)

        settings = PRESETS["paper"]
        if small:
            shape = dataclasses.replace(settings.generator, channel_base=512, channel_max=16, norm_groups=4)
            settings = dataclasses.replace(settings, generator=shape, batch_size=16, micro_batch=16)
        network = MultilevelFeatures(transformer("vit_base_patch16_224", small))
        network.to(device)
        task = GanTask.build(settings, DIM, network, Guide())
        for _ in range(stage):
            task = GanTask.from_previous(task)
        return task, batch(settings.batch_size, device, embedding=torch.zeros(settings.batch_size, DIM, device=device))

    return make


def phase_1(device: Any, small: bool) -> tuple[Any, dict[str, Any]]:
    """The contrastive encoders over a frozen UNI."""
    import torch

    from g2m_encoders import PRESETS, ContrastiveModel, ContrastiveTask

    backbone, genes = ("test_vit", 64) if small else ("vit_large_patch16_224", GENES)
    settings = PRESETS["paper"]
    settings = dataclasses.replace(
        settings, image=dataclasses.replace(settings.image, backbone=backbone, pretrained=False)
    )
    model = ContrastiveModel.build(settings, [f"gene{number}" for number in range(genes)])
    expression = torch.zeros(settings.batch_size, genes, device=device)
    return ContrastiveTask(settings, model), batch(settings.batch_size, device, expression=expression)


def stable_diffusion(device: Any, small: bool) -> tuple[Any, dict[str, Any]]:
    """Stable Diffusion's U-Net on latents that were computed before."""
    import torch
    from benches.diffusion_speed import AUTOENCODER, SMALL, UNET
    from diffusers import AutoencoderKL, UNet2DConditionModel

    import g2m_diffusion.denoiser
    from g2m_diffusion import PRESETS, DiffusionTask

    settings = PRESETS["paper"]
    smaller = SMALL if small else {}
    unet = UNet2DConditionModel(**UNET | smaller).train()
    g2m_diffusion.denoiser.load_unet = lambda *_: unet
    grey = torch.full((4, 3, PIXELS, PIXELS), 128, dtype=torch.uint8)
    task = DiffusionTask.build(settings, DIM, torch.zeros(DIM), grey, AutoencoderKL(**AUTOENCODER | smaller))
    n = settings.batch_size
    given = batch(n, device, embedding=torch.zeros(n, DIM, device=device))
    return task, given | {"moments": torch.zeros(n, 2, 8, 16, 16, dtype=torch.float16, device=device)}


STEPS: dict[str, Make] = {
    "gan 64 px": gan(0),
    "gan 128 px": gan(1),
    "phase 1": phase_1,
    "stable diffusion": stable_diffusion,
}


def transformer(name: str, small: bool) -> Any:
    import timm

    return timm.create_model(
        "test_vit" if small else name, pretrained=False, num_classes=0, dynamic_img_size=True, init_values=1e-5
    )


def batch(n: int, device: Any, **columns: Any) -> dict[str, Any]:
    """As the application's `TrainingPairs` gives it: all of it on the device."""
    import torch

    return {
        "key": torch.arange(n, device=device),
        "patch": torch.full((n, 3, PIXELS, PIXELS), 128, dtype=torch.uint8, device=device),
        **columns,
    }
