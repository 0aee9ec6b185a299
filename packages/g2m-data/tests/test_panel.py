from pathlib import Path

import pytest

from g2m_data.errors import InputError
from g2m_data.panel import ambiguous_genes, check_panel, common_genes, hash_genes, read_gene_file
from g2m_data.spaceranger.features import name_features


def test_common_genes_keep_the_first_sections_order():
    assert common_genes({Path("a"): ["Z", "A", "M", "B"], Path("b"): ["B", "M", "Q", "Z"]}) == ["Z", "M", "B"]


def test_repeated_symbols_that_are_other_genes_elsewhere_are_found():
    first = name_features(Path("a"), ["E1.2", "E2", "E3", "E4", "E5"], ["Gm1", "Gm1", "B", "C", "C"])
    second = name_features(Path("b"), ["E2", "E9", "E4", "E5"], ["Gm1", "B", "C", "C"])
    assert ambiguous_genes({Path("a"): first, Path("b"): second}) == ["Gm1"]
    assert ambiguous_genes({Path("a"): first}) == []


def test_sections_without_common_genes_are_refused():
    with pytest.raises(InputError, match="one species"):
        common_genes({Path("a"): ["ENSG1", "ENSG2"], Path("b"): ["A", "B"]})


def test_gene_file_keeps_its_order_and_skips_comments(tmp_path):
    path = tmp_path / "genes.txt"
    path.write_text("# panel\nZ\n\n A \nM\n")
    assert read_gene_file(path) == ["Z", "A", "M"]


@pytest.mark.parametrize(("text", "complaint"), [("", "lists no genes"), ("A\nB\nA\n", "lists A twice")])
def test_bad_gene_files_are_refused(tmp_path, text, complaint):
    path = tmp_path / "genes.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_gene_file(path)


def test_given_panel_may_lack_five_percent_and_no_more():
    panel = [f"G{i}" for i in range(100)]
    check_panel(panel, panel[5:], Path("genes.txt"), Path("m.h5"))
    with pytest.raises(InputError, match=r"m\.h5: lacks 6 of the 100 genes in genes\.txt \(G0, G1, G2, …\)"):
        check_panel(panel, panel[6:], Path("genes.txt"), Path("m.h5"))


def test_hash_depends_on_order():
    assert hash_genes(["A", "B"]) != hash_genes(["B", "A"])
