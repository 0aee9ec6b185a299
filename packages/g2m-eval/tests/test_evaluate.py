import json

import numpy as np
import pandas as pd
import pytest

from g2m_eval.errors import InputError
from g2m_eval.evaluate import evaluate_generator
from g2m_eval.fidelity.correspondence import same_spot_correspondence
from g2m_eval.morphology import STATISTICS, image_statistics
from g2m_eval.report.page import plain_values
from g2m_eval.report.sections import (
    generator_sections,
    generator_tile,
    generator_tiles,
    generator_warnings,
    study_warnings,
)


class ByBrightness:
    """A stand-in for the network: features are coarse averages, regions follow the number of dark pixels."""

    name = "test-extractor coarse"
    classes = ("few", "many")

    def features(self, images):
        small = images.reshape(len(images), 4, images.shape[1] // 4, 4, images.shape[2] // 4, 3)
        return small.mean(axis=(2, 4)).reshape(len(images), -1) / 255

    def predict(self, images):
        return np.where((images[..., 0] < 120).mean(axis=(1, 2)) > 0.05, "many", "few")


@pytest.fixture(scope="module")
def study(draw_patch):
    """Spots of two regions; eosin and nuclei follow factors, in real patches and in good generated ones."""
    random = np.random.default_rng(0)

    def draw(region, eosin, size, seed):
        spots = np.random.default_rng(seed).uniform(4, 51, (20 if region == "many" else 3, 2))
        return draw_patch([tuple(p) for p in spots], size=size, eosin=0.4 * np.exp(0.2 * eosin), seed=seed)

    n = 80
    region = random.permutation(np.repeat(["few", "many"], n // 2))
    eosin = random.standard_normal(n)
    truth = pd.DataFrame({"region": region, "purity": np.where(np.arange(n) % 10 == 0, 0.6, 1.0), "eosin": eosin})
    truth["unrelated"] = random.standard_normal(n)
    order = random.permutation(n)
    return {
        "train": np.stack([draw(r, random.standard_normal(), 64, 5000 + i) for i, r in enumerate(region)]),
        "test": np.stack([draw(r, e, 64, i) for i, (r, e) in enumerate(zip(region, eosin, strict=True))]),
        "generated": np.stack([draw(r, e, 32, 900 + i) for i, (r, e) in enumerate(zip(region, eosin, strict=True))]),
        "shuffled": np.stack([draw(region[j], eosin[j], 32, 2000 + i) for i, j in enumerate(order)]),
        "train_regions": np.where(np.arange(n) % 7 == 0, None, region.astype(object)),
        "truth": truth,
        "factors": pd.DataFrame(
            {
                "factor": ["eosin", "unrelated"],
                "regions": ["few;many", ["few", "many"]],
                "statistic": ["eosin_density", "nuclear_share"],
                "sign": [1, 1],
            }
        ),
        "samples": np.repeat(["s1", "s2"], n // 2),
    }


@pytest.fixture(scope="module")
def evaluation(study):
    return evaluate_generator(extractor=ByBrightness(), patch_um=55.0, permutations=999, kernel_subsets=5, **study)


def test_metrics_hold_the_keys_of_the_contract(evaluation):
    metrics = evaluation.metrics
    assert metrics["extractor"] == "test-extractor coarse"
    assert metrics["resolution"] == 32
    for key in (
        "frechet_generated_vs_test",
        "frechet_train_vs_test",
        "frechet_shuffled_vs_test",
        "kernel_generated_vs_test",
        "region_accuracy",
        "region_accuracy_real",
        "region_accuracy_mean_rgb",
    ):
        assert isinstance(metrics[key], float), key
    assert set(metrics["factors"]) == {"eosin", "unrelated"}
    assert {"within_region_generated", "within_region_real", "p"} <= set(metrics["factors"]["eosin"])
    assert set(metrics["n"]) >= {"generated", "shuffled", "test", "train", "scored_spots"}
    json.dumps(plain_values(metrics), allow_nan=False)


def test_a_generator_that_follows_its_conditions_is_seen_to_do_so(evaluation):
    metrics = evaluation.metrics
    assert metrics["region_accuracy"] > 0.95
    assert metrics["factors"]["eosin"]["within_region_generated"] > 0.7
    assert metrics["factors"]["eosin"]["p"] == pytest.approx(1 / 1000)
    assert metrics["factors"]["unrelated"]["p"] > 0.01
    assert metrics["correspondence"]["eosin_density"]["rho"] > 0.5


def test_only_pure_windows_are_scored(study, evaluation):
    assert evaluation.metrics["n"]["scored_spots"] == int((study["truth"]["purity"] >= 0.9).sum()) == 72
    assert evaluation.regions["generated patches"].n == 72
    assert evaluation.metrics["factors"]["eosin"]["n"] == 72


def test_a_generator_that_ignores_its_conditions_is_seen_to_do_so(study):
    blind = evaluate_generator(
        extractor=ByBrightness(),
        patch_um=55.0,
        permutations=199,
        kernel_subsets=5,
        **(study | {"generated": study["shuffled"]}),
    )
    assert blind.metrics["region_accuracy"] < 0.75
    assert blind.metrics["factors"]["eosin"]["p"] > 0.01
    assert "eosin" in " ".join(generator_warnings("GAN", blind.metrics))


def test_a_factor_is_scored_only_where_it_is_drawn(study):
    factors = study["factors"].iloc[:1].assign(regions=["many"])
    found = evaluate_generator(
        extractor=ByBrightness(), patch_um=55.0, permutations=99, kernel_subsets=5, **(study | {"factors": factors})
    )
    pure_many = (study["truth"]["purity"] >= 0.9) & (study["truth"]["region"] == "many")
    assert found.metrics["factors"]["eosin"]["n"] == int(pure_many.sum())


def test_several_patches_a_spot_are_averaged_for_statistics_and_counted_for_regions(study):
    n = len(study["test"])
    twice = evaluate_generator(
        extractor=ByBrightness(),
        patch_um=55.0,
        permutations=99,
        kernel_subsets=5,
        spots=np.repeat(np.arange(n), 2),
        **(study | {"generated": np.repeat(study["generated"], 2, axis=0)}),
    )
    assert twice.metrics["n"]["generated"] == 2 * n
    assert twice.regions["generated patches"].n == 2 * 72
    expected = image_statistics(study["generated"], 55 / 32)
    pd.testing.assert_frame_equal(twice.statistics_generated, expected, check_names=False)


def test_without_truth_there_are_distances_and_correspondence_only(study):
    real = {k: v for k, v in study.items() if k not in ("truth", "factors", "train_regions")}
    found = evaluate_generator(extractor=ByBrightness(), patch_um=[55.0, 55.0], kernel_subsets=5, **real)
    assert "region_accuracy" not in found.metrics
    assert "factors" not in found.metrics
    assert set(found.metrics["correspondence"]) == set(STATISTICS)
    assert not found.regions
    assert len(generator_tiles(found.metrics)) == 1
    titles = [
        s.title for s in generator_sections("gan", found, label="GAN", test=study["test"], generated=study["generated"])
    ]
    assert len(titles) == 2
    assert all(title.startswith("GAN: ") for title in titles)
    assert "Fréchet" in generator_tile("GAN", found.metrics).label


def test_sections_say_extractor_and_number_in_their_captions(study, evaluation):
    sections = generator_sections(
        "gan",
        evaluation,
        label="GAN",
        test=study["test"],
        generated=study["generated"],
        regions=study["truth"]["region"].tolist(),
        region_order=["many", "few"],
    )
    captions = [c.caption for s in sections for c in (*s.figures, *s.tables)]
    assert "test-extractor coarse" in captions[0]
    assert "N = 80" in captions[0]
    names = [f.name for s in sections for f in s.figures]
    assert names == ["gan-distances", "gan-by-region", "gan-confusion", "gan-factors"]


def test_warnings_name_few_pairs_the_extractor_and_the_generator(evaluation):
    few = " ".join(study_warnings([evaluation.metrics["extractor"]] * 2, training_pairs=100))
    many = " ".join(study_warnings([evaluation.metrics["extractor"]], training_pairs=300_000))
    assert "Only 100 training pairs" in few
    assert few.count("test-extractor coarse") == 1
    assert "training pairs" not in many
    assert "not FID" in many
    far = evaluation.metrics | {"frechet_train_vs_test": 1.0, "frechet_generated_vs_test": 8.2}
    warnings = generator_warnings("GAN", far)
    assert "8 times as far" in " ".join(warnings)
    assert all(warning.startswith("GAN: ") for warning in warnings)


def test_arrays_that_do_not_belong_together_are_refused(study):
    with pytest.raises(InputError, match="one section for each test patch"):
        evaluate_generator(extractor=ByBrightness(), patch_um=55.0, **(study | {"samples": ["s1"]}))
    with pytest.raises(InputError, match="one test spot for each generated patch"):
        evaluate_generator(extractor=ByBrightness(), patch_um=55.0, spots=[0], **study)
    with pytest.raises(InputError, match="one row of truth"):
        evaluate_generator(extractor=ByBrightness(), patch_um=55.0, **(study | {"truth": study["truth"].iloc[1:]}))


def test_correspondence_of_a_set_with_itself_is_perfect(study):
    measured = image_statistics(study["test"], 55 / 64)
    table = same_spot_correspondence(measured, measured, study["samples"], permutations=99)
    assert table["rho"].dropna().tolist() == pytest.approx([1.0] * table["rho"].notna().sum())
    with pytest.raises(InputError, match="same spots"):
        same_spot_correspondence(measured, measured.iloc[1:], study["samples"])


def test_distances_come_with_their_protocol_for_both_references_and_for_real_patches(evaluation, study):
    to_test, to_train = evaluation.metrics["distances"]
    assert [d["protocol"]["reference"] for d in (to_test, to_train)] == [
        "real patches of the test spots",
        "random tissue patches of the training sections",
    ]
    assert to_test["frechet"]["value"] == pytest.approx(evaluation.metrics["frechet_generated_vs_test"])
    assert to_test["kernel"]["value"] == evaluation.metrics["kernel_generated_vs_test"]
    real = evaluation.metrics["distances_real"][0]
    assert real["frechet"]["value"] == pytest.approx(evaluation.metrics["frechet_train_vs_test"])
    assert real["protocol"] == to_test["protocol"]  # as many training patches: they share a column


def test_a_network_that_works_at_fewer_pixels_makes_images_of_any_size_comparable(study):
    class Smaller(ByBrightness):
        resolution = 16

    bigger = study | {"generated": np.repeat(np.repeat(study["generated"], 2, axis=1), 2, axis=2)}
    protocols = [
        evaluate_generator(extractor=Smaller(), patch_um=55.0, permutations=9, kernel_subsets=2, **images).metrics[
            "distances"
        ][0]["protocol"]
        for images in (study, bigger | {"shuffled": bigger["generated"]})
    ]
    assert protocols[0] == protocols[1]
    assert protocols[0]["resolution"] == 16


@pytest.mark.parametrize(
    ("real", "own", "resize", "of_protocol"),
    [
        (64, 32, "area average of 64 px real patches to 32 px", "area averages to 32 px"),
        (32, 32, "the size real patches have", "area averages to 32 px"),
        (16, 32, "bilinear interpolation of 16 px real patches to 32 px",
         "bilinear interpolation of 16 px real patches to 32 px"),
        (16, 8, "bilinear interpolation of 16 px real patches to 32 px",
         "bilinear interpolation of 16 px real patches to 32 px, then area averages to 8 px"),
    ],
)  # fmt: skip
def test_resizing_is_told_as_it_was_done(study, real, own, resize, of_protocol):
    class Sized(ByBrightness):
        resolution = own

    step = 64 // real
    smaller = {key: study[key][:, ::step, ::step] for key in ("train", "test")}
    images = {key: study[key] for key in ("generated", "shuffled", "samples")}
    found = evaluate_generator(
        extractor=Sized(), patch_um=55.0, permutations=9, kernel_subsets=2, **smaller, **images
    ).metrics
    assert found["resize"] == resize
    assert {entry["protocol"]["resize"] for entry in found["distances"]} == {of_protocol}
