from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from g2m_encoders.augment import IMAGE_DRAWS, augment_expression, augment_images
from g2m_encoders.config import EncoderSettings
from g2m_encoders.distributed import add_over_processes, gather, world_size
from g2m_encoders.frozen_features import FrozenFeatures
from g2m_encoders.image import resize
from g2m_encoders.loss import chance_loss, contrastive_loss, floor_loss_at
from g2m_encoders.model import ContrastiveModel
from g2m_encoders.noise import Stream, draw_normal, draw_uniform
from g2m_encoders.schedule import learning_rate
from g2m_encoders.scores import rows_of_sections, score_pairs

Batch = Mapping[str, Tensor]


@runtime_checkable
class Accelerator(Protocol):
    """What a task needs of Accelerate's class of that name."""

    @property
    def device(self) -> torch.device:
        """Where batches and weights are."""

    def prepare(self, *objects: Any) -> Any:
        """The same objects, moved and wrapped."""

    def backward(self, loss: Tensor) -> None:
        """`loss.backward()`, scaled where need be."""


class ContrastiveTask:
    """Contrastive training of a `ContrastiveModel` (paper, Method, Phase 1).

    One call of `step` is one update on the global batch. What is random about a sample (augmentation, dropout) follows
    from its key, and the loss contrasts over all processes, so that two processes with half a batch each compute what
    one would.

    Parameters
    ----------
    settings
        Augmentation, optimiser, length of the schedule.
    model
        The model to train, updated in place. Weights and optimiser (`model`, and `optimizer` once prepared) are the
        training loop's to checkpoint, as Accelerate does; `state_dict` is what remains.
    """

    optimizer: Any

    def __init__(self, settings: EncoderSettings, model: ContrastiveModel) -> None:
        model.require_image()
        self.settings = settings
        self.model = model
        self.gene_counts = torch.zeros_like(model.gene_counts)
        self.steps = 0
        self._module: nn.Module = model
        self._accelerator: Accelerator | None = None
        self._frozen_features = FrozenFeatures()

    def prepare(self, accelerator: Accelerator) -> None:
        """Move and wrap model and optimiser; to be called once, before the first step."""
        self._accelerator = accelerator
        self._module, self.optimizer = accelerator.prepare(self.model, self._build_optimizer(accelerator.device))
        self.gene_counts = self.gene_counts.to(accelerator.device)

    def _build_optimizer(self, device: torch.device) -> torch.optim.AdamW:
        model, optimizer = self.model, self.settings.optimizer
        trained = [p for name, p in model.named_parameters() if p.requires_grad and name != "log_scale"]
        groups: list[dict[str, Any]] = [{"params": trained}]
        if self.settings.learn_temperature:
            groups.append({"params": [model.log_scale], "weight_decay": 0.0})
        return torch.optim.AdamW(
            groups,
            lr=optimizer.lr,
            betas=(optimizer.beta1, optimizer.beta2),
            weight_decay=optimizer.weight_decay,
            fused=device.type == "cuda" or None,  # one kernel; torch's own choice elsewhere
        )

    def step(self, batch: Batch, images_seen: int) -> dict[str, Tensor]:
        """One update.

        Parameters
        ----------
        batch
            This process's slice of the global batch: `key` int64 (n,), `patch` uint8 (n, 3, height, width),
            `expression` float32 (n, gene) in the panel's order. Every process brings equally many.
        images_seen
            Images of the global batch before this step.

        Returns
        -------
        `loss`, the bounds to read it against (`loss_chance`, `loss_floor`), and `temperature`; detached scalars.
        """
        if self._accelerator is None:
            raise RuntimeError("call prepare(accelerator) before step")
        lr = learning_rate(self.settings.optimizer, images_seen, self.settings.total_images)
        for group in self.optimizer.param_groups:
            group["lr"] = lr

        self._module.train()
        inputs = self._augment(batch["key"], batch["patch"], batch["expression"])
        expression, image, temperature = self._module(*inputs)
        loss = contrastive_loss(gather(expression), gather(image), temperature)
        self.optimizer.zero_grad()
        self._accelerator.backward(loss)
        self.optimizer.step()
        self._count_genes(batch["expression"])

        pairs, temperature = len(expression) * world_size(), temperature.detach().clone()
        return {
            "loss": loss.detach(),
            "temperature": temperature,
            "loss_chance": torch.full_like(temperature, chance_loss(pairs)),
            "loss_floor": floor_loss_at(pairs, temperature),
        }

    def _augment(
        self,
        keys: Int64[Tensor, " batch"],
        patches: UInt8[Tensor, "batch 3 height width"],
        expression: Float[Tensor, "batch gene"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        settings, model = self.settings.augmentation, self.model
        keys = keys.to(patches.device, non_blocking=True)
        genes = expression.shape[1]
        images = resize(patches.to(expression.dtype) / 127.5 - 1, self.settings.image.input_size)
        images = augment_images(images, draw_uniform(keys, Stream.VIEW, IMAGE_DRAWS), settings)
        expression = augment_expression(
            expression,
            draw_normal(keys, Stream.COUNTS, genes) if settings.expression_noise else None,
            draw_uniform(keys, Stream.GENE_DROPOUT, genes) if settings.gene_dropout else None,
            settings,
        )
        expression_noise = draw_uniform(keys, Stream.EXPRESSION_DROPOUT, model.expression.noise_width)
        image_noise = draw_uniform(keys, Stream.IMAGE_DROPOUT, model.image.noise_width)
        return expression, images, expression_noise, image_noise

    @torch.no_grad()
    def _count_genes(self, expression: Float[Tensor, "batch gene"]) -> None:
        """Running mean of the genes' counts, for `align` to say what a missing gene is worth."""
        mean = add_over_processes(torch.expm1(expression).mean(dim=0)) / world_size()
        self.steps += 1
        self.gene_counts.lerp_(mean, 1 / self.steps)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Loss and retrieval on pairs as they are, without augmentation.

        Parameters
        ----------
        batches
            As for `step`; an optional `section` (int64 (n,)) restricts retrieval to pairs of one section.

        Returns
        -------
        `loss` over shuffled groups of the training batch's size with its `loss_chance` and `loss_floor`;
        `retrieval_top5`, the share of pairs found among the 5 nearest of their section, mean of both
        directions and of the sections, with its `chance_top5`.
        """
        self.model.eval()
        expressions, images, sections = [], [], []
        for batch in batches:
            expressions.append(self.model.embed_expression(batch["expression"]).float())
            images.append(self._embed_patches(batch["key"], batch["patch"]).float())
            if "section" in batch:
                sections.append(batch["section"])
        self.model.train()
        a, b = torch.cat(expressions), torch.cat(images)
        rows = rows_of_sections(torch.cat(sections), a.device) if sections else [torch.arange(len(a), device=a.device)]
        return score_pairs(a, b, rows, self.model.temperature, self.settings.batch_size)

    def _embed_patches(
        self, keys: Int64[Tensor, " batch"], patches: UInt8[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch dim"]:
        """Embeddings of patches as they are; of a frozen backbone only the head is computed again."""
        image = self.model.image

        def features() -> Tensor:
            return image.features(patches.float() / 127.5 - 1)

        seen = self._frozen_features.get(keys, patches, lambda: [features()])[0] if image.frozen else features()
        embedding: Tensor = image.head(seen)
        return embedding

    def state_dict(self) -> dict[str, Any]:
        """What training keeps besides weights and optimiser: the genes' running mean counts."""
        return {"gene_counts": self.gene_counts.detach().clone(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.gene_counts = state["gene_counts"].to(self.gene_counts.device, copy=True)
        self.steps = int(state["steps"])

    def export(self, directory: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Save the model with the gene counts seen so far."""
        self.model.gene_counts.copy_(self.gene_counts)
        self.model.save_pretrained(directory, provenance)
