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
from g2m_encoders.draws import draw_normal, draw_uniform
from g2m_encoders.image import resize
from g2m_encoders.loss import chance_loss, contrastive_loss, floor_loss, retrieval_at_k
from g2m_encoders.model import ContrastiveModel
from g2m_encoders.schedule import learning_rate

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
        The model to train, updated in place. Weights and optimiser (`model`, `optimizer`) are the training loop's to
        checkpoint, as Accelerate does; `state_dict` is what remains.
    """

    def __init__(self, settings: EncoderSettings, model: ContrastiveModel) -> None:
        self.settings = settings
        self.model = model
        trained = [p for name, p in model.named_parameters() if p.requires_grad and name != "log_scale"]
        groups: list[dict[str, Any]] = [{"params": trained}]
        if settings.learn_temperature:
            groups.append({"params": [model.log_scale], "weight_decay": 0.0})
        optimizer = settings.optimizer
        self.optimizer: Any = torch.optim.AdamW(
            groups, lr=optimizer.lr, betas=(optimizer.beta1, optimizer.beta2), weight_decay=optimizer.weight_decay
        )
        self.gene_counts = torch.zeros(len(model.genes))
        self.steps = 0
        self._module: nn.Module = model
        self._accelerator: Accelerator | None = None

    def prepare(self, accelerator: Accelerator) -> None:
        """Move and wrap model and optimiser; to be called once, before the first step."""
        self._accelerator = accelerator
        self._module, self.optimizer = accelerator.prepare(self.model, self.optimizer)
        self.gene_counts = self.gene_counts.to(accelerator.device)

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

        pairs = len(expression) * world_size()
        bounds = {"loss_chance": chance_loss(pairs), "loss_floor": floor_loss(pairs, float(temperature.detach()))}
        return {
            "loss": loss.detach(),
            "temperature": temperature.detach().clone(),
            **{name: torch.tensor(value, device=loss.device) for name, value in bounds.items()},
        }

    def _augment(
        self,
        keys: Int64[Tensor, " batch"],
        patches: UInt8[Tensor, "batch 3 height width"],
        expression: Float[Tensor, "batch gene"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        settings, model = self.settings.augmentation, self.model
        genes = expression.shape[1]
        widths = [
            IMAGE_DRAWS,
            model.expression.noise_width,
            model.image.noise_width,
            genes if settings.gene_dropout else 0,
        ]
        for_image, expression_noise, image_noise, for_genes = torch.split(
            draw_uniform(keys, sum(widths)), widths, dim=1
        )
        normal = draw_normal(keys, genes) if settings.expression_noise else None
        images = resize(patches.float() / 127.5 - 1, self.settings.image.input_size)
        images = augment_images(images, for_image, settings)
        expression = augment_expression(expression, normal, for_genes if settings.gene_dropout else None, settings)
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
            images.append(self.model.embed_image(batch["patch"].float() / 127.5 - 1).float())
            sections.append(batch.get("section", torch.zeros_like(batch["key"])))
        self.model.train()
        a, b, section = torch.cat(expressions), torch.cat(images), torch.cat(sections)

        temperature = float(self.model.temperature)
        size = min(self.settings.batch_size, len(a))
        order = torch.randperm(len(a), generator=torch.Generator().manual_seed(0)).to(a.device)
        groups = order[: len(a) // size * size].view(-1, size)
        losses = [float(contrastive_loss(a[group], b[group], temperature)) for group in groups]

        found, chance = [], []
        for value in torch.unique(section).tolist():
            own = section == value
            found.append((retrieval_at_k(a[own], b[own], 5) + retrieval_at_k(b[own], a[own], 5)) / 2)
            chance.append(min(5 / int(own.sum()), 1.0))
        return {
            "loss": sum(losses) / len(losses),
            "loss_chance": chance_loss(size),
            "loss_floor": floor_loss(size, temperature),
            "temperature": temperature,
            "retrieval_top5": sum(found) / len(found),
            "chance_top5": sum(chance) / len(chance),
        }

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
