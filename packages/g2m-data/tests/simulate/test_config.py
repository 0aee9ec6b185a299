"""What the presets promise, without drawing them."""

import numpy as np
import pytest

from g2m_data.simulate.anatomy import draw_anatomy
from g2m_data.simulate.config import PRESETS
from g2m_data.simulate.counts import BIN_UM, bin_array
from g2m_data.simulate.programmes import choose_panel, read_vocabulary


@pytest.mark.parametrize(("preset", "bins", "least_px"), [("full", 3350, 24_000), ("quarter", 1675, 12_000)])
def test_scale_presets_have_the_dimensions_of_a_real_section(preset, bins, least_px):
    settings = PRESETS[preset]
    plan = settings.sections[0]
    anatomy = draw_anatomy(plan, settings, np.random.default_rng([0, 0, 0]))
    assert bin_array(plan, anatomy.size_um) == (bins, bins)
    assert min(round(side / plan.mpp) for side in anatomy.size_um) >= least_px
    assert plan.mpp == pytest.approx(0.27, abs=0.005)
    angle = np.deg2rad(plan.rotation_deg)
    assert bins * BIN_UM * (np.cos(angle) + np.sin(angle)) < min(anatomy.size_um)  # its corners are on the slide
    share = (3350 / bins) ** 2
    in_tissue = (anatomy.level > 0).sum() * (8 / BIN_UM) ** 2 * share
    assert 7e6 < in_tissue < 11e6
    assert 150e6 < in_tissue * plan.depth < 300e6  # nearly every molecule is a non-zero of its own


def test_the_quarter_is_as_dense_as_the_whole_and_has_a_section_to_test_on():
    full, quarter = PRESETS["full"], PRESETS["quarter"]
    whole, part = full.sections[0], quarter.sections[0]
    assert (whole.mpp, whole.depth, full.genes) == (part.mpp, part.depth, quarter.genes)
    assert np.prod(part.tissue_um) / np.prod(whole.tissue_um) == pytest.approx(0.25, rel=0.02)
    assert [plan.split for plan in quarter.sections] == ["train", "test"]


def test_scale_presets_measure_the_whole_vocabulary_most_of_it_faintly():
    panel = choose_panel(PRESETS["full"], 0)
    assert sorted(panel.genes) == sorted(read_vocabulary())
    assert panel.every_gene == panel.genes
    assert np.median(panel.profile[0][[gene.startswith("Vmn") for gene in panel.genes]]) < 0.1
    assert panel.profile[0][panel.genes.index("Slc34a1")] > 1
