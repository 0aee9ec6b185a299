import pytest

from g2m_data import InputError, build_dataset, read_manifest, study_id
from g2m_data.gene_sets import copy_gene_sets, gene_sets_of


def test_the_manifest_s_file_goes_with_the_dataset_and_not_into_its_id(maker, make_spots, tmp_path):
    maker.add(make_spots())
    plain = study_id(maker.manifest())
    (maker.folder / "go.cc.gmt").write_text("CILIUM\tabout\tGene1\tGene2\n")
    manifest = maker.manifest(study='gene_sets = "go.cc.gmt"')
    assert study_id(manifest) == plain
    out = tmp_path / "dataset"
    build_dataset(manifest, out)
    assert gene_sets_of(out) == out / "gene_sets" / "go.cc.gmt"
    assert gene_sets_of(out).read_text() == "CILIUM\tabout\tGene1\tGene2\n"


def test_another_file_or_none_takes_the_copy_s_place(maker, make_spots, tmp_path):
    maker.add(make_spots())
    out = tmp_path / "dataset"
    out.mkdir()
    for name, text in [("a.gmt", "A\t\tGene1\n"), ("b.gmt", "B\t\tGene1\n"), ("b.gmt", "C\t\tGene2\n")]:
        (maker.folder / name).write_text(text)
        copy_gene_sets(read_manifest(maker.manifest(study=f'gene_sets = "{name}"')), out)
        assert [path.name for path in (out / "gene_sets").iterdir()] == [name]
        assert gene_sets_of(out).read_text() == text
    copy_gene_sets(read_manifest(maker.manifest()), out)
    assert gene_sets_of(out) is None
    assert not list(out.iterdir())


def test_a_phantom_s_own_sets_unless_the_manifest_names_others(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "gene_sets.gmt").touch()
    assert gene_sets_of(tmp_path) == tmp_path / "truth" / "gene_sets.gmt"
    (tmp_path / "gene_sets").mkdir()
    (tmp_path / "gene_sets" / "own.gmt").touch()
    assert gene_sets_of(tmp_path).name == "own.gmt"


def test_a_file_that_is_not_there_stops_a_build_before_any_work(maker, make_spots, tmp_path):
    maker.add(make_spots())
    with pytest.raises(InputError, match="no such file of gene sets"):
        build_dataset(maker.manifest(study='gene_sets = "absent.gmt"'), tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
