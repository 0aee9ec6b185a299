import numpy as np

from g2m_eval.resize import resize_patches


def test_halving_averages_four_pixels():
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    expected = patches.reshape(3, 4, 2, 4, 2, 3).astype(float).mean(axis=(2, 4))
    assert np.abs(resize_patches(patches, 4) - expected).max() <= 0.5


def test_same_size_is_left_untouched_and_enlarging_keeps_flat_patches_flat():
    flat = np.full((2, 8, 8, 3), 77, dtype=np.uint8)
    assert resize_patches(flat, 8) is flat
    assert (resize_patches(flat, 20) == 77).all()


def test_more_patches_than_a_chunk_keep_their_order():
    patches = np.zeros((1100, 4, 4, 3), dtype=np.uint8)
    patches[:] = (np.arange(1100) % 251)[:, None, None, None]
    assert (resize_patches(patches, 2)[:, 0, 0, 0] == np.arange(1100) % 251).all()
