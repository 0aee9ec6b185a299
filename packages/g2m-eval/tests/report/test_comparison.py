import numpy as np
import pytest

from g2m_eval.report.comparison import compare_generators, comparison_section
from g2m_eval.report.page import write_report


def entry(count=80, **changes):
    factors = {
        "eosin": {
            "within_region_generated": 0.4, "within_region_real": 0.7, "p": 0.001, "p_real": 0.0001, "sign": 1,
        },
        "lumen": {
            "within_region_generated": 0.1, "within_region_real": -0.5, "p": 0.4, "p_real": 0.0001, "sign": -1,
        },
    }  # fmt: skip
    return {
        "extractor": "net 3f2a91",
        "resolution": 64,
        "n": {"generated": count, "train": count},
        "frechet_generated_vs_test": 9.0,
        "frechet_train_vs_test": 200 / count,
        "kernel_generated_vs_test": 0.02,
        "region_accuracy": 0.6,
        "region_accuracy_real": 0.95,
        "factors": factors,
        "seconds_per_1000_images": 12.0,
        **changes,
    }


def test_a_row_for_each_generator_and_one_of_real_patches_for_each_number_of_images():
    table = compare_generators({"GAN": entry(80), "tissue, w = 1": entry(20), "tissue, w = 3": entry(20)})
    assert table["generator"].tolist() == ["GAN", "tissue, w = 1", "tissue, w = 3", "real patches", "real patches"]
    assert table["N images"].tolist() == [80, 20, 20, 80, 20]
    assert table["same N, real training patches"].tolist() == [2.5, 10, 10, 2.5, 10]
    assert table["factors followed"].tolist() == ["1 of 2"] * 3 + ["2 of 2"] * 2
    assert table["region accuracy"].tolist() == [0.6, 0.6, 0.6, 0.95, 0.95]


def test_the_caption_says_when_numbers_of_images_differ():
    def caption(*counts):
        return comparison_section({str(n): entry(count) for n, count in enumerate(counts)}).tables[0].caption

    assert "different numbers of images" in caption(80, 20)
    assert "different numbers of images" not in caption(80, 80)
    assert caption(80, 20).count("net 3f2a91") == 1


def test_without_truth_there_are_gaps_and_the_table_is_a_file_too(tmp_path):
    real = {k: v for k, v in entry(seconds_per_1000_images=None).items() if not k.startswith(("region", "factors"))}
    section = comparison_section({"GAN": real})
    table = section.tables[0].table
    assert table[["region accuracy", "seconds per 1,000 images"]].isna().all(axis=None)
    write_report(tmp_path / "report", title="t", metrics={}, sections=[section])
    lines = (tmp_path / "report" / "table1.csv").read_text().splitlines()
    assert lines[0].startswith("generator,N images,px")
    assert len(lines) == 3


@pytest.mark.parametrize("p", [np.nan, None, 0.02])
def test_a_factor_whose_p_is_not_small_is_not_followed(p):
    changed = entry()
    changed["factors"]["eosin"]["p"] = p
    assert compare_generators({"GAN": changed})["factors followed"].tolist() == ["0 of 2", "2 of 2"]
