"""Shapes and types in signatures are checked while tests run; patches that any test can draw."""

from importlib import import_module

from jaxtyping import install_import_hook

with install_import_hook("g2m_eval", "beartype.beartype"):
    for module in (
        "extractors.training",
        "evaluate",
        "report.sections",
        "fidelity.evaluate",
        "space.evaluate",
        "space.mixing",
        "distances.compare",
        "extractors.features",
        "extractors.function",
        "extractors.inception",
    ):  # these import all others
        import_module(f"g2m_eval.{module}")

import numpy as np
import pytest

HAEMATOXYLIN = np.array([0.5626, 0.7201, 0.4062])
EOSIN = np.array([0.2159, 0.8012, 0.5581])


def develop(haematoxylin, eosin):
    """Stain densities (height, width) to uint8 RGB by Beer-Lambert with Macenko's reference vectors."""
    density = haematoxylin[..., None] * HAEMATOXYLIN + eosin[..., None] * EOSIN
    return np.clip(np.rint(240 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def _draw_patch(nuclei=(), holes=(), *, size=128, um=55.0, eosin=0.4, nucleus_um=2.8, seed=0):
    """A patch of even cytoplasm with round nuclei at (x, y) and white holes (x, y, radius), all in um."""
    generator = np.random.default_rng(seed)
    y, x = (np.indices((size, size)) + 0.5) * um / size
    purple = np.full((size, size), 0.15)
    pink = eosin + 0.02 * generator.standard_normal((size, size))
    for cx, cy in nuclei:
        purple[np.hypot(x - cx, y - cy) < nucleus_um] = 1.5
    for cx, cy, radius in holes:
        inside = np.hypot(x - cx, y - cy) < radius
        purple[inside] = pink[inside] = 0.0
    return develop(purple, np.maximum(pink, 0))


@pytest.fixture(scope="session")
def draw_patch():
    """The function that draws one patch."""
    return _draw_patch


@pytest.fixture(scope="session")
def spotted_regions(draw_patch):
    """Training and test patches of two regions with the same mean colour: coarse and fine spots."""

    def draw(n, seed):
        generator = np.random.default_rng(seed)
        labels = np.where(generator.random(n) < 0.5, "coarse", "fine")
        patches = []
        for label in labels:
            step, radius = (14.0, 4.0) if label == "coarse" else (7.0, 2.0)
            grid = np.arange(0, 60, step) + generator.uniform(-step, 0)
            spots = [(x, y) for x in grid for y in grid]
            patches.append(draw_patch(spots, size=32, nucleus_um=radius, seed=int(generator.integers(1 << 30))))
        return np.stack(patches), labels

    return draw(160, 0), draw(60, 1)
