"""Published values against counts and sums taken by hand from the page that lists them."""

import pytest

from g2m_eval.report import published


def test_table_1_as_printed():
    table = published.published_quality()
    assert list(table["generator"]) == [
        "StyleGAN-G",
        "Stable Diffusion, w = 1",
        "Stable Diffusion, w = 3",
        "Stable Diffusion, w = 7",
        "RNA-GAN",
        "MorphoDiff",
    ]
    assert list(table["published FID"]) == ["18.41", "84.28", "78.99", "84.69", "83.89", "≥ 78"]
    assert table["published KID (SD)"].dropna().tolist() == [
        "0.0127 (0.0015)",
        "0.0666 (0.0035)",
        "0.0784 (0.0043)",
        "0.0925 (0.0045)",
    ]
    # RNA-GAN and MorphoDiff were not drawn 36,528 times by this paper
    assert table["published N"].tolist()[:4] == [36528] * 4
    assert table["published N"].isna().sum() == 2


def test_images_are_four_for_each_test_spot():
    assert sum(published.PAIRS.values()) == 9132
    assert published.PUBLISHED_IMAGES == 4 * 9132


def test_readers_and_agreement():
    readers = published.published_readers()
    assert readers["published mean"].sum() == pytest.approx(1.466)
    assert readers["published SD"].sum() == pytest.approx(0.302)
    assert dict(published.published_agreement().to_numpy().tolist()) == {
        "ari_joint_vs_samplewise": 0.79,
        "ari_joint_vs_samplewise_pooled": 0.79,
        "ari_joint_vs_sample": 0.005,
        "ari_expression_vs_sample": 0.588,
    }


@pytest.mark.parametrize(
    ("number", "sample", "count", "total"),
    [
        ("Table 3", 4, 6, 11.111965),
        ("Table F.1", 2, 5, 8.826605),
        ("Table F.2", 3, 8, 7.119015),
        ("Table F.3", 5, 4, 3.920162),
    ],
)
def test_enrichment_tables_have_their_rows_and_sum(number, sample, count, total):
    table = published.published_enrichment(number)
    assert published.ENRICHMENT_SAMPLES[number] == sample
    assert len(table) == count
    assert table["NES"].sum() == pytest.approx(total, abs=2e-6)
    assert set(table["query cluster"]) | set(table["reference cluster"]) <= set(published.REGIONS)


def test_enrichment_signs_and_an_unknown_number():
    assert sum(term.nes < 0 for term in published.ENRICHMENT) == 3
    assert len(published.ENRICHMENT) == 23
    with pytest.raises(KeyError):
        published.published_enrichment("Table F.4")
