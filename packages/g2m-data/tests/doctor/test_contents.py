import numpy as np
import pytest

from g2m_data import build_dataset, open_dataset
from g2m_data.doctor.examine import examine


def test_lost_genes_are_counted_with_their_share_of_the_counts(maker, make_spots):
    first = make_spots(genes=[f"Gene{i}" for i in range(25)])
    second = make_spots(genes=[f"Gene{i}" for i in range(5, 30)], seed=1)
    second.counts[:, -5:] *= 3
    maker.add(first, "one", platform="visium")
    maker.add(second, "two", platform="visium")
    check = list(examine(maker.manifest()))[1].report.check("genes")
    assert (check.numbers["shared"], check.numbers["lost"]) == (20, 5)
    counts = second.counts[second.in_tissue]
    assert check.numbers["counts_lost"] == pytest.approx(counts[:, -5:].sum() / counts.sum())
    assert check.verdict == "warning"


def test_a_panel_that_a_section_lacks_is_an_error(maker, make_spots):
    maker.add(make_spots(), platform="visium")
    (maker.folder / "panel.txt").write_text("\n".join([*(f"Gene{i}" for i in range(20)), "Umod", "Nphs1"]))
    check = next(iter(examine(maker.manifest(study='genes = "panel.txt"')))).report.check("genes")
    assert check.verdict == "error"
    assert check.numbers["missing"] == 2


def test_repeated_symbols_are_named(maker, make_spots):
    maker.add(make_spots(genes=["Gm1", "Umod", "Gm1", *(f"Gene{i}" for i in range(22))]), platform="visium")
    check = next(iter(examine(maker.manifest()))).report.check("genes")
    assert check.numbers["genes_of_repeated_symbols"] == 2
    assert "Gm1, Gm1-1" in check.message


def test_library_sizes_are_those_of_whole_windows(maker, make_hd):
    section = make_hd(holes=0)
    section.in_tissue[:] = True
    maker.add(section, platform="visium-hd")
    check = next(iter(examine(maker.manifest(view="window_bins = 3\nstride_bins = 3")))).report.check("library size")
    totals = section.counts.sum(axis=1).reshape(44, 40)
    tops = range(-403 % 3, 42, 3)
    lefts = range(-1201 % 3, 38, 3)
    expected = [totals[top : top + 3, left : left + 3].sum() for top in tops for left in lefts]
    assert check.numbers["pairs"] == len(expected)
    assert check.numbers["pairs_median_counts"] == np.median(expected)
    assert check.numbers["bins_median_counts"] == np.median(totals)


def test_empty_pairs_are_warned_about(maker, make_spots):
    section = make_spots()
    section.in_tissue[:] = True
    section.counts[: len(section.counts) // 4] = 0
    maker.add(section, platform="visium")
    check = next(iter(examine(maker.manifest()))).report.check("library size")
    assert check.numbers["spots_without_counts"] == len(section.counts) // 4
    assert check.verdict == "warning"


def test_a_repeated_symbol_that_is_another_gene_elsewhere_is_told_as_the_build_tells_it(maker, make_spots, tmp_path):
    maker.add(make_spots(genes=["Z", "Gm1", "Gm1", "B"]), "a", platform="visium")
    maker.add(make_spots(genes=["Gm1", "B", "Z"], seed=1), "b", platform="visium")
    examined = list(examine(maker.manifest()))
    build_dataset(maker.manifest(), tmp_path / "dataset")
    for examination, entry in zip(
        examined, open_dataset(tmp_path / "dataset").manifest["samples"].values(), strict=True
    ):
        assert examination.report.check("genes").numbers["panel"] == 2
        assert entry["notes"][-1] in examination.report.check("notes").message


def test_a_given_panel_with_an_ambiguous_gene_is_told_as_the_build_tells_it(maker, make_spots):
    maker.add(make_spots(genes=["Z", "Gm1", "Gm1", "B"]), "a", platform="visium")
    maker.add(make_spots(genes=["Gm1", "B", "Z"], seed=1), "b", platform="visium")
    (maker.folder / "panel.txt").write_text("Gm1\nB\nZ\n")
    for examination in examine(maker.manifest(study='genes = "panel.txt"')):
        assert "but are in the list of genes: Gm1" in examination.report.check("notes").message
