import json

import numpy as np
import pytest

from g2m_eval.distances.compare import NUMBERS, compare_sets
from g2m_eval.distances.frechet import frechet_distance
from g2m_eval.distances.kernel import kernel_distance
from g2m_eval.distances.manifold import coverage, density, precision, recall
from g2m_eval.distances.protocol import DistanceProtocol
from g2m_eval.errors import InputError


def protocol(n_generated, n_reference, **changes):
    fields = {
        "extractor": "net 3f2a91",
        "resolution": 64,
        "resize": "none",
        "n_generated": n_generated,
        "n_reference": n_reference,
        "reference": "real patches of the test spots",
        "reference_hash": "0f",
        "seed": 3,
    }
    return DistanceProtocol(**{**fields, **changes})


@pytest.fixture(scope="module")
def sets():
    random = np.random.default_rng(0)
    return random.standard_normal((320, 6)).astype(np.float32) * 0.8, random.standard_normal((80, 6)).astype(np.float32)


def test_every_number_is_that_of_its_own_function_and_lies_in_its_interval(sets):
    generated, reference = sets
    found = compare_sets(generated, reference, protocol(320, 80), generated_spots=np.repeat(np.arange(80), 4),
                         reference_spots=np.arange(80), kernel_subset_size=50)  # fmt: skip
    assert found.frechet.value == frechet_distance(generated, reference)
    assert found.kernel_subsets == kernel_distance(generated, reference, subset_size=50, seed=3)
    assert found.kernel.value == found.kernel_subsets.mean
    expected = [f(reference, generated) for f in (precision, recall, density, coverage)]
    assert [getattr(found, name).value for name in NUMBERS[2:]] == expected
    for name in NUMBERS:
        interval = getattr(found, name)
        assert interval.low <= interval.value <= interval.high
    assert found.frechet.low < found.frechet.value < found.frechet.high


def test_images_that_come_four_to_a_spot_count_as_one_spot():
    """The same image four times over says no more than once; taken for four spots, its interval is half as wide."""
    random = np.random.default_rng(1)
    once, reference = random.standard_normal((200, 3)) + 0.5, random.standard_normal((3000, 3))
    four = np.repeat(once, 4, axis=0)

    def width(generated, spots):
        found = compare_sets(generated, reference, protocol(len(generated), 3000, seed=0), generated_spots=spots,
                             reference_spots=np.arange(3000) + 1000)  # fmt: skip
        return found.frechet.high - found.frechet.low

    alone = width(once, np.arange(200))
    assert width(four, np.repeat(np.arange(200), 4)) == pytest.approx(alone, rel=0.2)
    assert width(four, np.arange(800) + 5000) < 0.7 * alone


def test_fewer_images_than_dimensions_give_finite_numbers():
    random = np.random.default_rng(2)
    found = compare_sets(random.standard_normal((12, 700)), random.standard_normal((9, 700)), protocol(12, 9))
    for name in NUMBERS:
        interval = getattr(found, name)
        assert np.isfinite([interval.value, interval.low, interval.high]).all()


def test_of_fewer_than_five_spots_no_number_has_an_interval(sets):
    """Four spots with 20 images each: what other spots would give cannot be seen from them."""
    generated, reference = sets
    found = compare_sets(generated[:80], reference, protocol(80, 80), generated_spots=np.repeat(np.arange(4), 20),
                         reference_spots=np.arange(80))  # fmt: skip
    for name in NUMBERS:
        interval = getattr(found, name)
        assert np.isfinite(interval.value)
        assert np.isnan([interval.low, interval.high]).all()


def test_a_set_with_itself_is_at_distance_zero(sets):
    _, reference = sets
    found = compare_sets(reference, reference, protocol(80, 80), generated_spots=np.arange(80),
                         reference_spots=np.arange(80))  # fmt: skip
    assert found.frechet.value == pytest.approx(0, abs=1e-9)
    assert found.frechet.high == pytest.approx(0, abs=1e-6)  # the same spots are drawn on both sides
    assert found.precision.value == found.recall.value == found.coverage.value == 1


def test_what_is_written_to_metrics_json_holds_the_protocol(sets):
    generated, reference = sets
    entry = json.loads(json.dumps(compare_sets(generated, reference, protocol(320, 80)).to_dict()))
    assert entry["protocol"]["reference_hash"] == "0f"
    assert entry["protocol"]["statistics"].startswith("Fréchet: mean and unbiased covariance")
    assert set(entry["frechet"]) == {"value", "low", "high"}
    assert (entry["kernel_subsets"], entry["kernel_subset_size"]) == (100, 80)


def test_only_published_inception_gives_fid_and_a_network_that_took_part_says_so():
    assert protocol(2, 2).frechet_name == "Fréchet distance"
    assert protocol(2, 2, inception=True).frechet_name == "FID"
    assert protocol(2, 2, inception=True).kernel_name == "KID"
    assert "took part in training the generator" in str(protocol(2, 2, took_part=True))
    assert "took part" not in str(protocol(2, 2))


def test_sets_of_another_size_than_the_protocol_says_and_spots_that_do_not_fit_are_refused(sets):
    generated, reference = sets
    with pytest.raises(InputError, match="320 and 80"):
        compare_sets(generated, reference, protocol(80, 80))
    with pytest.raises(InputError, match="a spot for each reference image, got 3 for 80"):
        compare_sets(generated, reference, protocol(320, 80), reference_spots=[1, 2, 3])
