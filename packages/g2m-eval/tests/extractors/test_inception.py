import hashlib

import numpy as np
import pytest
import torch
from torch import nn
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from g2m_eval.errors import InputError
from g2m_eval.extractors import inception
from g2m_eval.extractors.inception import InceptionExtractor


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file in the layout of torch-fidelity's weights, with random values that keep activations alive."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    empty = fidelity.FeatureExtractorInceptionV3.__new__(fidelity.FeatureExtractorInceptionV3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        empty.__init__("inception", ["2048"])
    generator = torch.Generator().manual_seed(0)
    for module in empty.modules():
        if isinstance(module, nn.Conv2d):
            spread = (2 / module.weight[0].numel()) ** 0.5
            module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * spread)
    torch.save(empty.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def extractor(weights):
    return InceptionExtractor.load(weights)


def test_features_are_those_of_torch_fidelity_on_the_same_images(extractor, weights):
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), dtype=np.uint8)
    theirs = fidelity.FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(weights))
    expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    found = extractor.features(images, batch_size=2)
    assert found.shape == (3, 2048)
    assert found.std() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # batches of 2 and of 3 round differently


def test_name_tells_the_weights_and_only_the_published_ones_have_a_licence(extractor, weights):
    assert extractor.name == f"inception-v3 2048 {hashlib.sha256(weights.read_bytes()).hexdigest()[:6]}"
    assert (extractor.published, extractor.revision, extractor.licence) == (False, None, None)
    published = InceptionExtractor(extractor.network, sha256="6726825d" + "0" * 56)
    assert published.published
    assert published.revision == "weights-inception-2015-12-05-6726825d"


def test_without_a_connection_one_line_says_where_the_file_is_and_where_to_put_it(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(InputError, match="cannot fetch") as caught:
        InceptionExtractor.load()
    told = str(caught.value)
    assert "\n" not in told
    assert fidelity.URL_INCEPTION_V3 in told
    assert "--weights" in told
    assert str(tmp_path / "checkpoints") in told


def test_a_download_is_kept_where_torch_fidelity_looks_for_it(tmp_path, monkeypatch, weights):
    def download(url, target, *, hash_prefix, progress):
        assert (url, hash_prefix) == (fidelity.URL_INCEPTION_V3, "6726825d")
        inception.Path(target).write_bytes(weights.read_bytes())

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert InceptionExtractor.load().features(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 2048)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["weights-inception-2015-12-05-6726825d.pth"]


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("code in a file of weights was run",))


@pytest.mark.parametrize("kind", ["absent", "text", "cut short", "another network", "code"])
def test_a_file_that_is_not_inception_is_one_line(tmp_path, weights, kind):
    path = tmp_path / "weights.pth"
    if kind == "text":
        path.write_text("not weights\n")
    elif kind == "cut short":
        path.write_bytes(weights.read_bytes()[:100_000])
    elif kind == "another network":
        torch.save(nn.Linear(2, 2).state_dict(), path)
    elif kind == "code":
        torch.save(Malicious(), path)
    with pytest.raises(InputError) as caught:
        InceptionExtractor.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert fidelity.URL_INCEPTION_V3 in str(caught.value)
