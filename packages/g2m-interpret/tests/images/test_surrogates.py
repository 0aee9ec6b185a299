import numpy as np
import pandas as pd
import pytest
import torch

from g2m_interpret.errors import InputError
from g2m_interpret.images.surrogates import along, image_surrogates, surrogate_agreement

HAEMATOXYLIN, EOSIN = np.array([0.5626, 0.7201, 0.4062]), np.array([0.2159, 0.8012, 0.5581])


def draw_patch(*, nuclei=0, lumen_um=0.0, droplets=0, eosin=0.4, size=64, um=55.0, seed=0):
    """uint8 patch: round nuclei and droplets on a grid, one round lumen in the middle."""
    y, x = (np.indices((size, size)) + 0.5) * um / size
    generator = np.random.default_rng(seed)
    purple, pink = np.full((size, size), 0.15), np.full((size, size), eosin)
    places = [(cx, cy) for cx in np.arange(5, 55, 9.0) for cy in np.arange(5, 55, 9.0)]
    order = generator.permutation(len(places))
    for cx, cy in (places[i] for i in order[:nuclei]):
        purple[np.hypot(x - cx, y - cy) < 2.5] = 1.5
    for cx, cy in (places[i] for i in order[nuclei : nuclei + droplets]):
        hole = np.hypot(x - cx, y - cy) < 2.5
        purple[hole] = pink[hole] = 0
    hole = np.hypot(x - um / 2, y - um / 2) < lumen_um
    purple[hole] = pink[hole] = 0
    density = purple[..., None] * HAEMATOXYLIN + pink[..., None] * EOSIN
    return np.clip(np.rint(240 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def measured(patches, mpp=55 / 64):
    images = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return {name: value.numpy() for name, value in image_surrogates(mpp)(images).items()}


@pytest.mark.parametrize(
    ("statistic", "vary"),
    [
        ("nuclei_per_mm2", [{"nuclei": n} for n in (2, 8, 16)]),
        ("nuclear_share", [{"nuclei": n} for n in (2, 8, 16)]),
        ("lumen_share", [{"lumen_um": r} for r in (3.0, 9.0, 15.0)]),
        ("lipid_share", [{"droplets": n} for n in (2, 8, 16)]),
        ("eosin_density", [{"eosin": e} for e in (0.2, 0.4, 0.6)]),
        ("collagen_share", [{"eosin": e} for e in (0.2, 0.32, 0.6)]),
    ],
)
def test_each_surrogate_rises_with_what_it_stands_for(statistic, vary):
    values = measured([draw_patch(**arguments) for arguments in vary])[statistic]
    assert (np.diff(values) > 0).all()


def test_shares_counts_and_densities_are_about_right():
    found = measured([draw_patch(nuclei=12, eosin=0.4), draw_patch(lumen_um=12.0)])
    assert found["nuclei_per_mm2"][0] * 55**2 * 1e-6 == pytest.approx(12, rel=0.3)
    assert found["eosin_density"][0] == pytest.approx(0.4, rel=0.05)
    assert found["lumen_share"][1] == pytest.approx(np.pi * 12**2 / 55**2, rel=0.1)
    assert found["lipid_share"][1] < 0.1 * found["lumen_share"][1]  # a wide hole is a lumen, not a droplet


def test_a_finer_image_of_the_same_patch_measures_alike():
    coarse = measured([draw_patch(nuclei=12, lumen_um=6.0)])
    fine = measured([draw_patch(nuclei=12, lumen_um=6.0, size=128)], mpp=55 / 128)
    for name in ("nuclear_share", "lumen_share", "eosin_density"):
        assert fine[name][0] == pytest.approx(coarse[name][0], rel=0.1)


def test_every_surrogate_has_a_finite_gradient_even_on_blank_glass():
    patches = np.stack([draw_patch(nuclei=8, lumen_um=6.0), np.full((64, 64, 3), 255, np.uint8)])
    images = (torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1).requires_grad_()
    for name, value in image_surrogates(55 / 64)(images).items():
        (gradient,) = torch.autograd.grad(value.sum(), images, retain_graph=True)
        assert torch.isfinite(value).all(), name
        assert torch.isfinite(gradient).all(), name
        assert gradient[0].abs().max() > 0, name


def test_agreement_compares_only_finite_values_of_shared_names():
    patches = np.stack([draw_patch(eosin=e) for e in (0.2, 0.3, 0.4, 0.5)])

    def statistics(images):
        return pd.DataFrame({"eosin_density": [1.0, 2.0, 9.0, np.nan], "other": 0.0})

    found = surrogate_agreement(patches, image_surrogates(55 / 64), statistics, batch_size=3)
    assert found.index.tolist() == ["eosin_density"]
    assert found.loc["eosin_density", "images"] == 3
    assert found.loc["eosin_density", "spearman"] == 1.0


def test_along_is_the_component_in_a_direction():
    found = along(lambda images: images.mean(dim=(2, 3)), torch.tensor([0.0, 2.0, 0.0]), "green")(
        torch.ones(2, 3, 4, 4)
    )
    assert found["green"].tolist() == [1.0, 1.0]


def test_a_scale_that_is_none_is_refused():
    with pytest.raises(InputError, match="microns per pixel"):
        image_surrogates(0.0)


def test_nothing_lies_along_a_direction_of_no_length():
    with pytest.raises(InputError, match=r"towards_fat: the direction has length 0\.0"):
        along(lambda images: images.mean(dim=(2, 3)), torch.zeros(3), "towards_fat")
