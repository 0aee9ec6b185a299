import numpy as np

from g2m_eval.blocks import BESIDE, spatial_blocks


def test_no_patch_of_one_block_overlaps_one_of_another():
    xy = np.random.default_rng(0).uniform(0, 1000, (900, 2))
    blocks = spatial_blocks(xy, 40.0)
    assert sorted(set(blocks.tolist())) == [BESIDE, *range(9)]
    apart = np.abs(xy[:, None] - xy[None]).max(axis=2)
    whole = blocks != BESIDE
    foreign = (blocks[:, None] != blocks[None]) & whole[:, None] & whole[None]
    assert apart[foreign].min() >= 40.0


def test_blocks_hold_about_as_many_patches_each():
    xy = np.random.default_rng(1).exponential(100.0, (5000, 2))  # crowded in one corner
    counts = np.bincount(spatial_blocks(xy, 0.0))
    assert counts.min() > 0.9 * 5000 / 9


def test_sections_share_no_block():
    xy = np.tile(np.random.default_rng(2).uniform(0, 100, (60, 2)), (2, 1))
    samples = np.repeat(["a", "b"], 60)
    blocks = spatial_blocks(xy, 1.0, samples, per_side=2)
    assert set(blocks[:60].tolist()) & set(blocks[60:].tolist()) <= {BESIDE}
