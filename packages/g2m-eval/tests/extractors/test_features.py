import threading

import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.extractors.features import FeatureCache, content_digest, stream_features
from g2m_eval.extractors.function import FunctionExtractor
from g2m_eval.resize import resize_patches


class Sliced:
    """Patches that can only be sliced, and that say the most that was ever read at once."""

    def __init__(self, patches):
        self.patches, self.shape, self.dtype, self.most = patches, patches.shape, patches.dtype, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        part = self.patches[rows]
        self.most = max(self.most, len(part))
        return part


class Counting:
    """Mean colours, and how many images they were computed of."""

    def __init__(self, name="mean colour"):
        self.seen = 0
        self.inner = FunctionExtractor(name, self.call)

    def call(self, images):
        self.seen += len(images)
        return images.mean(axis=(1, 2))


@pytest.fixture
def patches():
    return np.random.default_rng(0).integers(0, 256, (600, 8, 8, 3), dtype=np.uint8)


def test_streamed_features_equal_those_of_all_patches_at_once(patches):
    sliced = Sliced(patches)
    extractor = Counting().inner
    found = stream_features(sliced, extractor, resolution=4, batch_size=50)
    np.testing.assert_allclose(found, extractor.features(resize_patches(patches, 4)), rtol=1e-6)
    assert sliced.most == 50


def test_cached_features_are_found_again_by_content_and_memory_mapped(patches, tmp_path):
    counting, cache = Counting(), FeatureCache(tmp_path / "cache")
    first = stream_features(Sliced(patches), counting.inner, cache=cache)
    again = stream_features(patches.copy(), counting.inner, cache=cache)
    assert counting.seen == 600
    assert isinstance(again, np.memmap)
    np.testing.assert_array_equal(first, again)
    path = next((tmp_path / "cache").glob("*/*.npy"))
    np.testing.assert_array_equal(np.load(path), first)  # an ordinary .npy, whatever comes behind the array
    assert not list(path.parent.glob(".*"))


def test_another_patch_size_or_extractor_is_another_entry(patches, tmp_path):
    cache = FeatureCache(tmp_path)
    stream_features(patches, Counting().inner, cache=cache)
    changed = patches.copy()
    changed[-1, 0, 0, 0] ^= 1
    for other, name, resolution in ((changed, "mean colour", None), (patches, "mean colour", 4), (patches, "b", None)):
        counting = Counting(name)
        stream_features(other, counting.inner, resolution=resolution, cache=cache)
        assert counting.seen == 600
    assert len(list(tmp_path.glob("*/*.npy"))) == 4


def test_names_that_read_the_same_as_folders_are_kept_apart(tmp_path):
    cache = FeatureCache(tmp_path)
    assert cache.path("uni v2", None, "0") != cache.path("uni/v2", None, "0")


@pytest.mark.parametrize("damage", ["cut short", "one byte", "emptied", "another array"])
def test_a_damaged_entry_is_computed_again(patches, tmp_path, damage):
    counting, cache = Counting(), FeatureCache(tmp_path)
    expected = np.array(stream_features(patches, counting.inner, cache=cache))
    path = cache.path("mean colour", None, content_digest(patches))
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        path.write_bytes(content[:-500])
    elif damage == "one byte":
        content[1000] ^= 4
        path.write_bytes(content)
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        np.save(path, np.zeros((3, 3)))
    np.testing.assert_array_equal(stream_features(patches, counting.inner, cache=cache), expected)
    assert counting.seen == 1200
    stream_features(patches, counting.inner, cache=cache)
    assert counting.seen == 1200


def test_an_extractor_that_fails_leaves_nothing_behind(patches, tmp_path):
    def fail_late(images):
        if len(images) < 64:
            raise OSError("out of memory")
        return images.mean(axis=(1, 2))

    with pytest.raises(OSError, match="out of memory"):
        stream_features(patches, FunctionExtractor("fails", fail_late), batch_size=200, cache=FeatureCache(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_two_that_write_at_once_both_get_whole_features(patches, tmp_path):
    together = threading.Barrier(2)
    results = []

    def work():
        def wait(images):
            together.wait(timeout=20)  # both are in the middle of computing
            return images.mean(axis=(1, 2))

        extractor = FunctionExtractor("mean colour", wait, batch_size=600)
        results.append(stream_features(patches, extractor, batch_size=600, cache=FeatureCache(tmp_path)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    for found in results:
        np.testing.assert_allclose(found, patches.mean(axis=(1, 2)), rtol=1e-6)
    assert len(list(tmp_path.rglob("*.npy"))) == 1


def test_digest_is_of_shape_and_content_whatever_holds_them(patches):
    assert content_digest(Sliced(patches)) == content_digest(patches)
    assert content_digest(patches) != content_digest(patches[::-1])
    assert content_digest(patches) != content_digest(patches.reshape(600, 4, 16, 3))


@pytest.mark.parametrize(
    "patches", [np.zeros((2, 4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.float32)]
)
def test_what_are_no_uint8_patches_is_refused(patches):
    with pytest.raises(InputError):
        stream_features(patches, Counting().inner)
