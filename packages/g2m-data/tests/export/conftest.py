"""A dataset of two sections, opened."""

import numpy as np
import pytest

from g2m_data import PairedDataset, build_dataset, open_dataset


@pytest.fixture
def dataset(maker, make_hd, make_spots, tmp_path) -> PairedDataset:
    # large enough that there are several blocks of windows
    hd = make_hd(rows=90, cols=85, rotation=2.0, flip_rows=True)
    hd.slide = np.random.default_rng(0).integers(0, 255, hd.slide.shape).astype(np.uint8)
    spots = make_spots(genes=hd.genes)
    spots.slide = np.random.default_rng(1).integers(0, 255, spots.slide.shape).astype(np.uint8)
    maker.add(spots, "spots", platform="visium", split="test")
    maker.add(hd, "hd", platform="visium-hd")
    manifest = maker.manifest(view="window_bins = 9\nstride_bins = 3", patch='pixels = 16\nstain = "none"')
    build_dataset(manifest, tmp_path / "dataset")
    return open_dataset(tmp_path / "dataset")
