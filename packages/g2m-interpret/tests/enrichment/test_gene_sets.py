import pytest

from g2m_interpret.enrichment.gene_sets import match_gene_sets, read_gmt
from g2m_interpret.errors import InputError


def write(tmp_path, text):
    path = tmp_path / "sets.gmt"
    path.write_text(text)
    return path


def test_sets_are_read_with_each_gene_once(tmp_path):
    path = write(tmp_path, "A\tfirst\tUmod\tAqp2\tUmod\t\n\nB\t\tPlin1\n")
    assert read_gmt(path) == {"A": ("Umod", "Aqp2"), "B": ("Plin1",)}


@pytest.mark.parametrize(
    ("text", "word"), [("", "no gene set"), ("A\tdescription\n", "line 1"), ("A\t\tx\nA\t\ty\n", "second set named A")]
)
def test_a_damaged_file_is_one_line_that_says_where(tmp_path, text, word):
    with pytest.raises(InputError, match=word):
        read_gmt(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.gmt"):
        read_gmt(tmp_path / "absent.gmt")


def test_what_is_dropped_is_counted():
    sets = {"A": ("Umod", "Aqp2", "Missing"), "B": ("Missing",), "C": ("Umod", "Aqp2", "Plin1")}
    kept, match = match_gene_sets(sets, ["Umod", "Aqp2", "Plin1", "Lone"], max_size=2)
    assert kept == {"A": ("Umod", "Aqp2")}
    assert (match.sets_read, match.sets_kept, match.sets_too_small, match.sets_too_large) == (3, 1, 1, 1)
    assert (match.genes_in_sets, match.genes_matched, match.genes_in_no_set) == (4, 3, 1)


def test_mouse_genes_meet_human_sets_in_upper_case_only_when_asked_to():
    sets = {"A": ("UMOD", "AQP2")}
    with pytest.raises(InputError, match="case='upper'"):
        match_gene_sets(sets, ["Umod", "Aqp2"])
    kept, match = match_gene_sets(sets, ["Umod", "Aqp2", "UMOD"], case="upper")
    assert kept == {"A": ("Umod", "Aqp2")}  # in the panel's own spelling; the first of two of one symbol
    assert match.genes_sharing_a_symbol == 1


def test_upper_case_is_hinted_at_only_where_it_matches_more():
    with pytest.raises(InputError, match="check species and sizes"):
        match_gene_sets({"s": ("Umod", "Nphs1")}, ["Umod", "Nphs1"], min_size=5)
    with pytest.raises(InputError, match="upper case"):
        match_gene_sets({"s": ("UMOD", "NPHS1")}, ["Umod", "Nphs1"])
