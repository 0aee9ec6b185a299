import json

import numpy as np
import pytest
import torch

from g2m_eval.errors import InputError
from g2m_eval.extractors.base import Extractor
from g2m_eval.extractors.network import NetworkShape, SmallCnn
from g2m_eval.extractors.small import SmallExtractor


@pytest.fixture
def extractor():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SmallCnn(NetworkShape(widths=(8, 16), classes=2))
    return SmallExtractor(network, supervision="regions", resolution=32, classes=("a", "b"))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 48, 48, 3), dtype=np.uint8)


def test_a_saved_extractor_reads_back_with_its_name_and_numbers(extractor, images, tmp_path):
    extractor.save(tmp_path / "extractor")
    loaded = SmallExtractor.load(tmp_path / "extractor")
    assert loaded.name == extractor.name
    np.testing.assert_array_equal(loaded.features(images), extractor.features(images))
    assert loaded.predict(images).tolist() == extractor.predict(images).tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["extractor"]


def test_the_name_tells_supervision_resolution_and_weights(extractor):
    assert extractor.name.startswith("g2m-small-cnn regions 32px ")
    with torch.no_grad():
        extractor.network.head.bias += 1
    changed = SmallExtractor(extractor.network, supervision="regions", resolution=32, classes=("a", "b"))
    assert changed.name != extractor.name
    assert isinstance(extractor, Extractor)


def test_batches_do_not_change_features(extractor, images):
    np.testing.assert_allclose(
        extractor.features(images, batch_size=2), extractor.features(images), rtol=1e-4, atol=1e-5
    )


def test_merging_normalisation_into_convolutions_changes_nothing(extractor):
    network = extractor.network
    with torch.no_grad():
        for layer in network.stages:
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean += 0.3
                layer.running_var *= 1.7
                layer.weight *= 0.6
        shown = torch.rand(4, 3, 32, 32)
        merged = network.merged()
        found, features = merged(shown), network(shown)
        torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(merged.classify(found), network.classify(features), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in merged.stages)


def test_turning_a_patch_does_not_change_its_region(extractor, images):
    turned = np.rot90(images, axes=(1, 2)).copy()
    assert extractor.predict(turned).tolist() == extractor.predict(images).tolist()


def test_no_images_give_no_features(extractor):
    assert extractor.features(np.zeros((0, 48, 48, 3), np.uint8)).shape == (0, 32)


def test_saving_over_something_and_loading_nonsense_are_refused(extractor, tmp_path):
    extractor.save(tmp_path / "e")
    with pytest.raises(InputError, match="exists"):
        extractor.save(tmp_path / "e")
    with pytest.raises(InputError, match="not a saved extractor"):
        SmallExtractor.load(tmp_path / "missing")
    (tmp_path / "e" / "weights.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match="not a saved extractor"):
        SmallExtractor.load(tmp_path / "e")


def test_weights_that_are_not_the_named_ones_are_refused(extractor, tmp_path):
    extractor.save(tmp_path / "e")
    description = tmp_path / "e" / "extractor.json"
    described = json.loads(description.read_text())
    description.write_text(json.dumps(described | {"weights_sha256": "0" * 64}))
    with pytest.raises(InputError, match="not the ones it names"):
        SmallExtractor.load(tmp_path / "e")


def test_without_regions_there_is_nothing_to_predict(images):
    blind = SmallExtractor(SmallCnn(NetworkShape(widths=(8, 16))), supervision="self-supervised", resolution=32)
    assert blind.features(images).shape == (7, 32)
    with pytest.raises(InputError, match="without regions"):
        blind.predict(images)
