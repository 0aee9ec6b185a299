import numpy as np
import pytest

from g2m_data.simulate.anatomy import FACTORS, REGIONS
from g2m_data.simulate.config import PRESETS
from g2m_data.simulate.programmes import WINDOW_COUNTS, choose_panel, read_vocabulary

# markers by which clusters are named, by region
MARKERS = {
    "BAT": ("Ucp1", "Cidea", "Plin1"),
    "CX": ("Slc5a2", "Slc34a1"),
    "OSOM": ("Slc7a13", "Slc22a7"),
    "ISOM": ("Umod", "Slc12a1"),
    "IM&P": ("Aqp2", "Aqp3"),
}


@pytest.fixture(scope="module", params=["tiny", "demo"])
def preset(request: pytest.FixtureRequest) -> str:
    return request.param


def test_panel_has_its_size_real_symbols_and_no_gene_twice(preset):
    panel = choose_panel(PRESETS[preset], 0)
    assert len(panel.genes) == PRESETS[preset].genes
    assert len(set(panel.every_gene)) == len(panel.every_gene)
    assert set(panel.every_gene) <= set(read_vocabulary())
    assert {len(genes) for genes in panel.private.values()} == {PRESETS[preset].private_genes}


def test_markers_mark_their_regions(preset):
    panel = choose_panel(PRESETS[preset], 0)
    for region, genes in MARKERS.items():
        for gene in genes:
            assert REGIONS[panel.profile[:, panel.genes.index(gene)].argmax()] == region
    podocyte = panel.genes.index("Nphs2")
    assert panel.tuft[podocyte] > 20 * panel.profile[:, podocyte].max()


def test_windows_hold_the_stated_counts(preset):
    panel = choose_panel(PRESETS[preset], 0)
    np.testing.assert_allclose(panel.profile.sum(axis=1), WINDOW_COUNTS)
    assert panel.tuft.sum() == pytest.approx(WINDOW_COUNTS)


def test_each_factor_is_driven_up_by_many_genes_and_down_by_a_few():
    panel = choose_panel(PRESETS["demo"], 0)
    for index in range(len(FACTORS)):
        effect = panel.effect[panel.factor == index]
        assert 20 <= len(effect) <= 40
        assert 2 <= (effect < 0).sum() <= 6
        assert np.abs(effect).min() >= 0.5
        assert np.abs(effect).max() <= 1.0
    assert (panel.effect[panel.factor < 0] == 0).all()


def test_gene_sets_name_programmes_and_decoys_of_the_same_sizes():
    settings = PRESETS["demo"]
    panel = choose_panel(settings, 0)
    true = {name: genes for name, (_, genes) in panel.sets.items() if "DECOY" not in name}
    decoys = [genes for name, (_, genes) in panel.sets.items() if "DECOY" in name]
    assert {f"PHANTOM_FACTOR_{name.upper()}" for name in FACTORS} <= set(true)
    assert {"PHANTOM_REGION_BAT", "PHANTOM_REGION_IMANDP", "PHANTOM_CELL_PODOCYTE"} <= set(true)
    assert len(decoys) == settings.decoys
    assert {len(genes) for genes in decoys} == {len(genes) for genes in true.values()}
    driven = {panel.genes[i] for i in np.flatnonzero(panel.factor[: len(panel.genes)] == 0)}
    assert set(true[f"PHANTOM_FACTOR_{next(iter(FACTORS)).upper()}"]) == driven


def test_same_seed_same_panel():
    first, again, other = (choose_panel(PRESETS["tiny"], seed) for seed in (5, 5, 6))
    assert first.genes == again.genes
    np.testing.assert_array_equal(first.profile, again.profile)
    assert first.genes != other.genes
