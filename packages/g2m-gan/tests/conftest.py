"""Shape checks for the whole package, and small networks to train with."""

import dataclasses

from jaxtyping import install_import_hook

install_import_hook("g2m_gan", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402

from g2m_gan.config import (  # noqa: E402
    AugmentSettings,
    BlurSettings,
    DiscriminatorSettings,
    EmaSettings,
    GanSettings,
    GeneratorSettings,
    GuidanceSettings,
    StageSettings,
)

CONDITION_DIM = 12


class SmallFeatures(torch.nn.Module):
    """A frozen random CNN: two feature maps, and the second one again as tokens."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(11)
            self.first = torch.nn.Conv2d(3, 8, 3, stride=4, padding=1)
            self.second = torch.nn.Conv2d(8, 16, 3, stride=2, padding=1)

    def forward(self, images):
        fine = torch.relu(self.first(images))
        coarse = torch.relu(self.second(fine))
        return [fine, coarse, coarse.flatten(2).transpose(1, 2)]


class SmallGuide(torch.nn.Module):
    """A frozen random image encoder."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(12)
            self.linear = torch.nn.Linear(3 * 16, CONDITION_DIM)

    def forward(self, images):
        pooled = torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
        return torch.nn.functional.normalize(self.linear(pooled), dim=1)


MICRO = GanSettings(
    generator=GeneratorSettings(
        z_dim=16, channel_base=256, channel_max=16, residual_blocks=1, norm_groups=4, activation_clamp=256.0
    ),
    discriminator=DiscriminatorSettings(projection_dim=8, feature_px=0, mismatch_weight=0.5),
    augment=AugmentSettings(),
    guidance=GuidanceSettings(weight=0.5),
    blur=BlurSettings(sigma_px=2.0, images=100),
    ema=EmaSettings(half_life_images=100.0),
    stages=(
        StageSettings(resolution=16, total_images=160),
        StageSettings(resolution=32, total_images=160, trainable="new-layers"),
    ),
    batch_size=16,
    micro_batch=16,
)


def make_batch(first, n=16, patch_px=32):
    """Samples `first` to `first + n` of an endless made-up dataset."""
    patches, embeddings = [], []
    for index in range(first, first + n):
        source = torch.Generator().manual_seed(index)
        patches.append(torch.randint(0, 256, (3, patch_px, patch_px), generator=source, dtype=torch.uint8))
        embeddings.append(torch.nn.functional.normalize(torch.randn(CONDITION_DIM, generator=source), dim=0))
    return {"key": torch.arange(first, first + n), "patch": torch.stack(patches), "embedding": torch.stack(embeddings)}


@pytest.fixture
def micro():
    return MICRO


@pytest.fixture
def small_features():
    return SmallFeatures()


@pytest.fixture
def small_guide():
    return SmallGuide()


@pytest.fixture
def batch_from():
    return make_batch


@pytest.fixture
def changed():
    """`dataclasses.replace` with dotted names: changed(settings, {"guidance.weight": 0.0})."""

    def replace(settings, values):
        for name, value in values.items():
            section, _, field = name.partition(".")
            if field:
                value = dataclasses.replace(getattr(settings, section), **{field: value})
            settings = dataclasses.replace(settings, **{section: value})
        return settings

    return replace
