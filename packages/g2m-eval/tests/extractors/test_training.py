import math

import numpy as np
import pytest
import torch

from g2m_eval.errors import InputError
from g2m_eval.extractors.training import nt_xent, train_extractor
from g2m_eval.fidelity.regions import score_regions


def test_regions_of_equal_colour_are_learned_from_texture(spotted_regions):
    (patches, labels), (unseen, truth) = spotted_regions
    extractor = train_extractor(patches, labels, resolution=32, steps=60, batch_size=32)
    assert extractor.classes == ("coarse", "fine")
    assert score_regions(truth, extractor.predict(unseen)).balanced_accuracy > 0.9


def test_the_same_seed_gives_the_same_network_and_another_seed_another(spotted_regions):
    patches, labels = spotted_regions[0]
    names = [train_extractor(patches, labels, resolution=16, steps=4, batch_size=8, seed=s).name for s in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_training_neither_reads_nor_changes_the_global_random_state(spotted_regions):
    patches = spotted_regions[0][0]
    torch.manual_seed(5)
    expected = torch.rand(1).item()
    torch.manual_seed(5)
    first = train_extractor(patches, resolution=16, steps=2, batch_size=8).name
    assert torch.rand(1).item() == expected
    torch.manual_seed(99)
    assert train_extractor(patches, resolution=16, steps=2, batch_size=8).name == first


def test_without_labels_patches_of_one_kind_lie_closer_than_of_two(spotted_regions):
    (patches, _), (unseen, truth) = spotted_regions
    extractor = train_extractor(patches, resolution=32, steps=40, batch_size=32)
    assert "self-supervised" in extractor.name
    features = extractor.features(unseen).astype(float)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    similar = features @ features.T / features.shape[1]
    np.fill_diagonal(similar, np.nan)
    same = truth[:, None] == truth[None, :]
    assert np.nanmean(similar[same]) > np.nanmean(similar[~same]) + 0.1


def test_unlabelled_patches_are_left_out(spotted_regions):
    patches, labels = spotted_regions[0]
    some = np.array(labels, dtype=object)
    some[::2] = None
    some[1] = ""
    extractor = train_extractor(patches, some, resolution=16, steps=1, batch_size=8)
    assert extractor.classes == ("coarse", "fine")


def test_progress_is_reported_step_by_step(spotted_regions):
    seen = []

    def track(sequence, description="", total=None):
        for item in sequence:
            seen.append((item, total))
            yield item

    train_extractor(spotted_regions[0][0], resolution=16, steps=3, batch_size=8, track=track)
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_nt_xent_of_collapsed_views_is_the_log_of_the_choices():
    ones = torch.ones(6, 4)
    assert nt_xent(ones, ones).item() == pytest.approx(math.log(2 * 6 - 1), rel=1e-6)


def test_nt_xent_of_perfect_views_has_a_closed_form():
    """Orthogonal pairs: the partner at cosine 1, the 2n - 2 others at 0."""
    eye = torch.eye(5)
    expected = -math.log(math.exp(1 / 0.2) / (math.exp(1 / 0.2) + 8))
    assert nt_xent(eye, eye).item() == pytest.approx(expected, rel=1e-5)


def test_unusable_training_sets_are_refused(spotted_regions):
    patches, labels = spotted_regions[0]
    with pytest.raises(InputError, match="one label a patch"):
        train_extractor(patches, labels[:-1], resolution=16)
    with pytest.raises(InputError, match="two regions"):
        train_extractor(patches, ["a"] * len(patches), resolution=16)
    with pytest.raises(InputError, match="at least 2"):
        train_extractor(patches[:1], resolution=16)
