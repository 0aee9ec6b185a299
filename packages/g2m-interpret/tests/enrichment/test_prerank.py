import gseapy
import numpy as np
import pandas as pd
import pytest
from torch import nn

from g2m_interpret.attribution.pairs import attribute_pairs
from g2m_interpret.attribution.profiles import cluster_profiles
from g2m_interpret.config import EnrichmentSettings
from g2m_interpret.enrichment.prerank import enrich_pairs, enrich_ranking
from g2m_interpret.enrichment.tables import readable_term, significant_terms, terms_table
from g2m_interpret.errors import InputError


def random_ranking(seed, genes=120):
    scores = np.random.default_rng(seed).gamma(1.0, size=genes)
    names = [f"Gene{number}" for number in range(genes)]
    return pd.Series(scores, index=names).sort_values(ascending=False)


def random_sets(seed, count=40, genes=120, size=12):
    generator = np.random.default_rng(seed)
    return {
        f"SET_{number}": tuple(f"Gene{i}" for i in generator.choice(genes, size, replace=False))
        for number in range(count)
    }


@pytest.mark.parametrize("min_size", [1, 5])
def test_numbers_equal_a_direct_call_to_the_digit(min_size):
    ranking, sets = random_ranking(0), random_sets(1) | {"SMALL": ("Gene1", "Gene2")}
    found = enrich_ranking(ranking, sets, EnrichmentSettings(min_size=min_size, permutations=200)).set_index("term")
    direct = gseapy.prerank(
        rnk=ranking, gene_sets={name: list(genes) for name, genes in sets.items()}, min_size=min_size, max_size=500,
        permutation_num=200, seed=1, threads=1, outdir=None, no_plot=True,
    ).res2d.set_index("Term")  # fmt: skip
    assert set(found.index) == set(direct.index)
    assert ("SMALL" in found.index) == (min_size == 1)
    for ours, theirs in (
        ("es", "ES"),
        ("nes", "NES"),
        ("p", "NOM p-val"),
        ("fdr", "FDR q-val"),
        ("fwer", "FWER p-val"),
    ):
        assert found[ours].tolist() == direct.loc[found.index, theirs].astype(float).tolist()
    assert found["leading_genes"].tolist() == direct.loc[found.index, "Lead_genes"].tolist()


def test_a_set_at_the_top_of_the_ranking_is_found():
    ranking, sets = random_ranking(0), random_sets(1)
    sets["TOP"] = tuple(ranking.index[:12])
    table = enrich_ranking(ranking, sets, EnrichmentSettings(permutations=200))
    assert table["term"].iloc[0] == "TOP"
    assert table["p"].iloc[0] < 0.02
    assert set(table["leading_genes"].iloc[0].split(";")) == set(ranking.index[:12])


def test_random_rankings_are_rarely_significant():
    sets = random_sets(1)
    p = np.concatenate([enrich_ranking(random_ranking(seed), sets)["p"] for seed in range(10, 16)])
    assert (p < 0.02).mean() <= 0.03 + 2 * np.sqrt(0.03 / len(p))


def test_more_threads_change_nothing():
    ranking, sets = random_ranking(3), random_sets(4)
    one, two = (enrich_ranking(ranking, sets, EnrichmentSettings(permutations=100), threads=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_pairs_are_enriched_by_their_own_top_genes(spots, genes, network):
    found = attribute_pairs(network(nn.GELU()), cluster_profiles(*spots, genes))
    sets = {f"GOCC_{name}": tuple(gene.upper() for gene in genes[4 * i : 4 * i + 4]) for i, name in enumerate("ABC")}
    settings = EnrichmentSettings(case="upper", permutations=50, top_genes=10)
    result = enrich_pairs(found, sets, settings)
    assert result.match.genes_matched == 12
    of_a = result.table[result.table["query"] == "a"]
    assert set(of_a["reference"]) == {"b", "c"}
    assert set(";".join(of_a[of_a["term"] == "GOCC_A"]["leading_genes"]).split(";")) <= set(genes[:4])
    assert result.table["ranked_genes"].max() <= 10


def test_a_ranking_without_a_set_says_what_to_do():
    with pytest.raises(InputError, match="min_size"):
        enrich_ranking(random_ranking(0), {"A": ("nothing",)})


def test_a_set_of_all_ranked_genes_says_nothing():
    ranking = random_ranking(0).head(6)
    with pytest.raises(InputError, match="6 ranked genes and no set with 1 to 5 of them"):
        enrich_ranking(ranking, {"ALL": tuple(ranking.index)})
    both = enrich_ranking(ranking, {"ALL": tuple(ranking.index), "SOME": tuple(ranking.index[:3])})
    assert both["term"].tolist() == ["SOME"]


def test_the_paper_shows_terms_below_two_percent_with_more_than_four_leading_genes():
    table = pd.DataFrame(
        {
            "query": "BAT",
            "reference": "CX",
            "term": ["GOCC_LIPID_DROPLET", "GOCC_FEW", "GOCC_CHANCE"],
            "nes": [1.71, 1.8, 1.2],
            "p": [0.0, 0.0, 0.02],
            "leading": [5, 4, 9],
        }
    )
    assert significant_terms(table)["term"].tolist() == ["GOCC_LIPID_DROPLET"]
    shown = terms_table({"4": table})
    assert shown.iloc[0].tolist() == ["4", "Lipid Droplet", 1.71, "BAT", "CX"]
    assert readable_term("Phantom set") == "Phantom set"
