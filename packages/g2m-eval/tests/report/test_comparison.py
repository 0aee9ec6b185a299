import numpy as np
import pytest

from g2m_eval.distances.protocol import TEST_SPOTS, TRAINING_SLIDE
from g2m_eval.report.comparison import compare_generators, comparison_section, group_by_protocol, protocol_table
from g2m_eval.report.page import write_report


def distances(count, frechet=9.0, reference=TEST_SPOTS, **changes):
    number = {"value": 0.5, "low": 0.4, "high": 0.6}
    protocol = {
        "extractor": "net 3f2a91",
        "resolution": 64,
        "resize": "area averages to 64 px",
        "n_generated": count,
        "n_reference": count,
        "reference": reference,
        "reference_hash": f"{reference[0]}{count}",
        "seed": 0,
        **changes,
    }
    return {
        "protocol": protocol,
        "frechet": {"value": frechet, "low": frechet - 1, "high": frechet + 1},
        "kernel": {"value": 0.0127, "low": 0.01, "high": 0.02},
        "kernel_sd": 0.0015,
        "kernel_subset_size": 10,
        **dict.fromkeys(("precision", "recall", "density", "coverage"), number),
    }


def entry(count=80, frechet=9.0, **changes):
    factors = {
        "eosin": {
            "within_region_generated": 0.4, "within_region_real": 0.7, "p": 0.001, "p_real": 0.0001, "sign": 1,
        },
        "lumen": {
            "within_region_generated": 0.1, "within_region_real": -0.5, "p": 0.4, "p_real": 0.0001, "sign": -1,
        },
    }  # fmt: skip
    return {
        "resolution": 64,
        "distances": [distances(count, frechet), distances(count, frechet + 0.5, TRAINING_SLIDE)],
        "distances_real": [distances(count, 1.5)],
        "region_accuracy": 0.6,
        "region_accuracy_real": 0.95,
        "factors": factors,
        "seconds_per_1000_images": 12.0,
        **changes,
    }


def test_numbers_of_different_protocols_are_never_in_one_column():
    """The GAN on 80 spots and on the 20 that the other was drawn at: two columns, and a dash where there is none."""
    models = {"GAN": entry(80, 4.0, at_common_spots=entry(20, 7.0)), "tissue": entry(20, 18.0)}
    table = compare_generators(models).set_index("generator")
    groups = group_by_protocol(models)
    assert [(g.letter, g.protocol.n_generated, g.protocol.reference) for g in groups] == [
        ("A", 20, TEST_SPOTS), ("B", 20, TRAINING_SLIDE), ("C", 80, TEST_SPOTS), ("D", 80, TRAINING_SLIDE),
    ]  # fmt: skip
    assert table["A: Fréchet distance"].tolist() == ["7 (6 to 8)", "18 (17 to 19)", "1.5 (0.5 to 2.5)"]
    assert table["C: Fréchet distance"].tolist() == ["4 (3 to 5)", "–", "1.5 (0.5 to 2.5)"]
    assert table["D: Fréchet distance"].tolist() == ["4.5 (3.5 to 5.5)", "–", "–"]
    assert table.loc["GAN", "A: kernel distance (SD)"] == "0.0127 (0.0015)"


@pytest.mark.parametrize(
    "changed",
    [
        {"extractor": "net 000000"}, {"resolution": 128}, {"resize": "none"}, {"reference_hash": "of other spots"},
        {"n_reference": 81}, {"took_part": True}, {"statistics": "biased covariance"}, {"seed": 1},
    ],
)  # fmt: skip
def test_whatever_differs_makes_another_column(changed):
    other = entry() | {"distances": [distances(80, 5.0, **changed)], "distances_real": []}
    table = compare_generators({"GAN": entry(), "other": other})
    columns = [name for name in table if "Fréchet" in name]
    assert len(columns) == 3
    assert all((table[name] == "–").any() for name in columns)


def test_subsets_that_are_the_whole_sets_have_no_standard_deviation():
    whole = distances(80, 5.0) | {"kernel_subset_size": 80, "kernel_sd": 0.0}
    table = compare_generators({"GAN": entry() | {"distances": [whole]}})
    assert table.loc[0, "A: kernel distance (SD)"] == "0.0127 (whole sets)"


def test_only_inceptions_distance_is_called_fid():
    table = compare_generators({"GAN": entry() | {"distances": [distances(80, 5.0, inception=True)]}})
    assert "A: FID" in table
    assert "A: KID (SD)" in table
    assert not [name for name in compare_generators({"GAN": entry()}) if "FID" in name]


def test_region_accuracy_and_factors_stand_with_the_images_they_were_measured_on():
    models = {"GAN": entry(80, at_common_spots=entry(20, region_accuracy=0.5)), "tissue": entry(20)}
    first, second, third, _ = (protocol_table(group).set_index("generator") for group in group_by_protocol(models))
    assert first.index.tolist() == ["GAN", "tissue", "real training patches"]
    assert first["region accuracy"].to_dict() == {"GAN": 0.5, "tissue": 0.6, "real training patches": 0.95}
    assert third["region accuracy"].to_dict() == {"GAN": 0.6, "real training patches": 0.95}
    assert first["factors followed"].to_dict() == {
        "GAN": "1 of 2", "tissue": "1 of 2", "real training patches": "2 of 2",
    }  # fmt: skip
    assert "region accuracy" not in second  # the training slide has no patch of the test spots


def test_captions_give_each_protocol_in_full():
    section = comparison_section({"GAN": entry(80)})
    caption = section.tables[0].caption
    assert "A: 80 generated and 80 real patches of the test spots, 64 px, net 3f2a91" in caption
    assert "Resize: area averages to 64 px" in caption
    assert "reference r80, seed 0" in section.tables[1].caption
    assert "unbiased covariance" in section.tables[1].caption
    assert "too narrow where windows overlap" in section.tables[1].caption


def test_without_truth_there_are_no_such_columns_and_every_table_is_a_file_too(tmp_path):
    real = {k: v for k, v in entry(seconds_per_1000_images=None).items() if not k.startswith(("region", "factors"))}
    section = comparison_section({"GAN": real})
    assert not [name for table in section.tables for name in table.table if "region" in name or "factors" in name]
    assert section.tables[0].table["seconds per 1,000 images"].isna().all()
    write_report(tmp_path / "report", title="t", metrics={}, sections=[section])
    lines = (tmp_path / "report" / "table1.csv").read_text().splitlines()
    assert lines[0].startswith("generator,A: Fréchet distance,A: kernel distance (SD),B: Fréchet distance")
    assert len(lines) == 3
    assert (tmp_path / "report" / "table1-A.csv").is_file()


def test_a_generator_of_too_few_images_is_a_row_of_dashes():
    table = compare_generators({"GAN": entry(), "few": entry() | {"distances": [], "distances_real": []}})
    assert table.loc[1, [name for name in table if name.startswith(("A", "B"))]].tolist() == ["–"] * 4


@pytest.mark.parametrize("p", [np.nan, None, 0.02])
def test_a_factor_whose_p_is_not_small_is_not_followed(p):
    changed = entry()
    changed["factors"]["eosin"]["p"] = p
    table = protocol_table(group_by_protocol({"GAN": changed})[0])
    assert table["factors followed"].tolist() == ["0 of 2", "2 of 2"]
