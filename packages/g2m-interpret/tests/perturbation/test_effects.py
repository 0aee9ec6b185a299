import numpy as np
import pytest

from g2m_interpret.errors import InputError, OutsideTraining
from g2m_interpret.perturbation.edits import Edit
from g2m_interpret.perturbation.effects import (
    Perturbation,
    perturb,
    random_changes,
    share_beyond,
    summarise_changes,
)
from g2m_interpret.perturbation.familiarity import Familiarity
from g2m_interpret.perturbation.intervals import spread_of_mean
from g2m_interpret.perturbation.simulator import draw_keys

NAMES = [f"spot {i}" for i in range(12)]


def test_the_same_noise_stands_on_both_sides(spots, genes, toy):
    keys = draw_keys(NAMES, 3, 0)
    nothing = perturb(toy.simulator(genes), spots[0][:12], [Edit(up=("Gene0",), fold=1.0)], keys)
    np.testing.assert_array_equal(nothing.after[0], nothing.before)
    assert np.ptp(nothing.before[0, :, 0]) > 0  # while noise does vary the images


def test_knocking_out_what_makes_pink_makes_it_less_and_leaves_blue(spots, genes, toy):
    keys = draw_keys(NAMES, 4, 0)
    found = perturb(toy.simulator(genes, batch_size=5), spots[0][:12], [Edit(up=genes[:4])], keys)
    table = summarise_changes(found, resamples=200).set_index("statistic")
    expected = -0.03 * spots[0][:12, :4].sum(axis=1).mean()
    assert table.loc["pink", "change"] == pytest.approx(expected, rel=0.02)
    assert table.loc["pink", "high"] < 0
    assert table.loc["blue", "change"] == 0
    assert table.loc["pink", "low"] <= table.loc["pink", "change"] <= table.loc["pink", "high"]
    random = random_changes(toy.simulator(genes), spots[0][:12], found.edits[0], keys, sets=10)
    assert random.shape == (10, 2)
    assert share_beyond(table.loc["pink", "change"], random[:, 0]) == 1.0
    assert np.isnan(share_beyond(1.0, random[:0, 0]))


def test_before_after_and_change_are_of_the_same_images():
    before, after = np.array([[[1.0], [3.0]]]), np.array([[[[2.0], [np.nan]]]])
    found = Perturbation(
        edits=(Edit(up=("A",)),),
        statistics=("pink",),
        before=before,
        after=after,
        familiar_before=1.0,
        familiar_after=np.ones(1),
    )
    row = summarise_changes(found, resamples=10).iloc[0]
    assert (row["before"], row["after"], row["change"]) == (1, 2, 1)


def test_keys_belong_to_spots_by_name():
    both, one = draw_keys(["a", "b"], 2, 0), draw_keys(["b"], 2, 0)
    np.testing.assert_array_equal(both[1:], one)
    assert (both[0] != both[1]).all()
    assert (draw_keys(["b"], 2, 1) != one).all()


def test_an_edit_that_leaves_training_is_warned_of(spots, genes, toy):
    keys = draw_keys(NAMES, 1, 0)
    familiarity = Familiarity.fit(spots[0], components=3)
    edits = [Edit(up=("Gene9",), fold=1.2), Edit(up=genes[:12], fold=1000.0, label="flood")]
    with pytest.warns(OutsideTraining, match="flood") as warned:
        found = perturb(toy.simulator(genes), spots[0][:12], edits, keys, familiarity=familiarity)
    assert len(warned) == 1
    assert found.familiar_after[0] >= 0.5 > found.familiar_after[1]


def test_a_section_of_another_batch_is_let_in_by_its_own_spots():
    training = np.log1p(np.random.default_rng(0).poisson(3.0, (800, 24))).astype(np.float32)
    shifted = training[:200] + 1.5
    familiarity = Familiarity.fit(training, components=3)
    assert familiarity.is_familiar(training).mean() > 0.9
    assert familiarity.is_familiar(shifted).mean() < 0.1
    extended = familiarity.extended(shifted)
    assert extended.is_familiar(shifted).mean() > 0.9
    assert not extended.is_familiar(shifted + 6.0).any()


def test_one_gene_far_beyond_its_range_is_noticed_though_distances_hardly_change():
    training, fresh = np.log1p(np.random.default_rng(0).poisson(3.0, (2, 800, 400))).astype(np.float32)
    familiarity = Familiarity.fit(training, components=3)
    driven = fresh.copy()
    driven[:, 7] = np.log1p(3.0 * 25)
    for before, after in zip(familiarity.distances(fresh), familiarity.distances(driven), strict=True):
        assert after.mean() < 1.25 * before.mean()
    assert familiarity.is_familiar(fresh).mean() > 0.9
    assert not familiarity.is_familiar(driven).any()


def test_too_few_training_profiles_are_refused(spots):
    with pytest.raises(InputError, match="too few"):
        Familiarity.fit(spots[0][:20])


def test_interval_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        values = generator.normal(size=(15, 1, 1)) + 0.5 * generator.normal(size=(15, 4, 1))
        low, high = spread_of_mean(values, resamples=200, seed=seed)
        covered += int(low[0] <= 0 <= high[0])
    assert covered >= 86  # of 95 expected; a bootstrap over 15 spots is a little narrow


def test_missing_values_are_left_out():
    values = np.ones((4, 2, 1))
    values[0, 0] = np.nan
    low, high = spread_of_mean(values, resamples=50, seed=0)
    assert low[0] == high[0] == 1.0


def test_sizes_that_do_not_fit_are_refused(spots, genes, toy):
    with pytest.raises(InputError, match="noise keys"):
        toy.simulator(genes[:-1]).simulate(spots[0][:12], draw_keys(NAMES, 1, 0))
