import numpy as np
import pytest

from g2m_eval.errors import InputError
from g2m_eval.space.agreement import ari, cluster_agreement, joint_vs_samplewise
from g2m_eval.space.summary import told_apart

SAMPLE = ["a"] * 4 + ["b"] * 6
REGION = ["x", "x", "y", "y", "x", "x", "x", "y", "y", "y"]


def test_ari_by_hand():
    # pairs together in both: 2, of 3 in the first and 4 in the second labelling, of 10 pairs
    assert ari([0, 0, 0, 1, 2], [0, 0, 0, 1, 1]) == pytest.approx((3 - 1.2) / (3.5 - 1.2))


def test_ari_with_a_single_label_is_not_a_number():
    assert np.isnan(ari(["a"] * 5, [0, 1, 0, 1, 0]))


def test_ari_refuses_labels_of_different_spots():
    with pytest.raises(InputError, match="3 and 2"):
        ari([0, 1, 1], [0, 1])


def test_labels_of_different_samples_own_clusters_are_never_compared():
    own = [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]  # the same partition as the regions, with the names turned in one sample
    assert joint_vs_samplewise(REGION, own, SAMPLE) == {"a": 1.0, "b": 1.0}


def test_the_mean_counts_every_sample_alike():
    own = [0, 0, 1, 1, 0, 1, 0, 1, 0, 1]
    found = cluster_agreement(sample=SAMPLE, joint=REGION, samplewise=own, expression=SAMPLE, region=REGION)
    assert found["ari_joint_vs_samplewise"] == pytest.approx((1 + ari(REGION[4:], own[4:])) / 2)
    assert found["ari_joint_vs_sample"] == found["ari_region_vs_sample"] == ari(REGION, SAMPLE)
    assert found["ari_expression_vs_sample"] == found["ari_joint_vs_region"] == 1


def test_the_pooled_reading_counts_every_spot_alike_and_asks_for_the_same_names():
    turned = [*REGION[:4], *("y" if name == "x" else "x" for name in REGION[4:])]
    found = cluster_agreement(sample=SAMPLE, joint=REGION, samplewise=turned, expression=SAMPLE)
    assert found["ari_joint_vs_samplewise"] == 1
    assert found["ari_joint_vs_samplewise_pooled"] == ari(REGION, turned) < 0.1
    found = cluster_agreement(sample=SAMPLE, joint=REGION, samplewise=REGION, expression=SAMPLE)
    assert found["ari_joint_vs_samplewise_pooled"] == 1


def test_unnamed_clusters_of_two_sections_are_two():
    names = np.array(["CX", "unnamed 1", "unnamed 1"])
    assert told_apart(names, np.array(["a", "a", "b"])) == ["CX", "unnamed 1 of a", "unnamed 1 of b"]


def test_spots_of_unknown_region_do_not_count():
    known = [*REGION[:4], *[""] * 3, *REGION[7:]]
    wrong_there = [*REGION[:4], "y", "y", "y", *REGION[7:]]
    found = cluster_agreement(sample=SAMPLE, joint=wrong_there, samplewise=REGION, expression=SAMPLE, region=known)
    assert found["ari_joint_vs_region"] == 1


def test_one_section_has_nothing_joint_to_compare():
    found = cluster_agreement(sample=["a"] * 10, joint=REGION, samplewise=REGION, expression=REGION)
    assert sorted(found) == [
        "ari_expression_vs_sample",
        "ari_joint_vs_sample",
        "ari_joint_vs_samplewise",
        "ari_joint_vs_samplewise_pooled",
    ]
    assert np.isnan(list(found.values())).all()
