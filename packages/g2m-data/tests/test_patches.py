import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_data.patches import read_patches


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(1, 12), st.integers(1, 3))
def test_patches_are_numpys_flips_and_turns_of_the_slide(seed, count, size, threads):
    rng = np.random.default_rng(seed)
    slide = rng.integers(0, 256, (size + rng.integers(9), size + rng.integers(9), 3), dtype=np.uint8)
    corners = rng.integers(0, np.array(slide.shape[:2]) - size + 1, (count, 2), dtype=np.int32)
    flips, turns = rng.integers(0, 4, (2, count), dtype=np.uint8)
    patches = read_patches(slide, corners, size, flips=flips, quarter_turns=turns, threads=threads)
    assert (patches.shape, patches.dtype) == ((count, 3, size, size), np.float32)
    for patch, (top, left), flip, turn in zip(patches, corners, flips, turns, strict=True):
        expected = slide[top : top + size, left : left + size]
        expected = expected[:, ::-1] if flip & 1 else expected
        expected = expected[::-1] if flip & 2 else expected
        expected = np.rot90(expected, turn).transpose(2, 0, 1).astype(np.float32)
        np.testing.assert_array_equal(patch, expected / np.float32(127.5) - 1)
    np.testing.assert_array_equal(
        read_patches(slide, corners, size), read_patches(slide, corners, size, flips=flips * 0, quarter_turns=turns * 0)
    )


def test_every_grey_level_is_exact_and_the_ends_are_minus_one_and_one():
    slide = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    (patch,) = read_patches(slide, np.zeros((1, 2), int), 16)
    np.testing.assert_array_equal(patch[1].ravel(), np.arange(256, dtype=np.float32) / np.float32(127.5) - 1)
    assert (patch.min(), patch.max()) == (-1, 1)


def test_patches_are_written_into_the_buffer_given_and_read_from_a_mapped_slide(tmp_path):
    slide = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.save(tmp_path / "slide.npy", slide)
    buffer = np.full((2, 3, 8, 8), np.nan, np.float32)
    corners = np.array([[12, 22], [0, 3]])
    assert read_patches(np.load(tmp_path / "slide.npy", mmap_mode="r"), corners, 8, buffer) is buffer
    np.testing.assert_array_equal(buffer, read_patches(slide, corners, 8))


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (13, 0), (0, 23)])
def test_patches_beyond_the_slide_are_refused(corner):
    with pytest.raises(IndexError, match=r"partly outside the slide of \(20, 30\)"):
        read_patches(np.zeros((20, 30, 3), np.uint8), np.array([(0, 0), corner]), 8)


def test_other_buffers_and_codes_are_refused():
    slide, corners = np.zeros((20, 30, 3), np.uint8), np.zeros((2, 2), int)
    for out in (np.empty((2, 3, 8, 8)), np.empty((1, 3, 8, 8), np.float32), np.empty((8, 3, 8, 2), np.float32).T):
        with pytest.raises(ValueError, match="contiguous float32"):
            read_patches(slide, corners, 8, out)
    for codes in ([0, 4], [-1, 0], [0]):
        with pytest.raises(ValueError, match="numbers from 0 to 3"):
            read_patches(slide, corners, 8, flips=np.array(codes))
        with pytest.raises(ValueError, match="numbers from 0 to 3"):
            read_patches(slide, corners, 8, quarter_turns=np.array(codes))


@pytest.mark.parametrize(
    "slide",
    [
        np.zeros((20, 30, 3), np.float32),
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((3, 20, 30), np.uint8).transpose(1, 2, 0),
        np.zeros((20, 60, 3), np.uint8)[:, :30],
    ],
)
def test_other_slides_are_refused(slide):
    with pytest.raises(ValueError, match="contiguous uint8"):
        read_patches(slide, np.zeros((2, 2), int), 8)
