"""A study is balanced, varied, complete or absent, and its files tell nothing but pixels."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from g2m_eval.errors import InputError
from g2m_eval.reader_study.create import Candidates, choose_images, create_study, morphological_clusters
from g2m_eval.reader_study.layout import KEY, STUDY, open_study, read_key
from g2m_eval.reader_study.png import plain_png
from g2m_eval.resize import resize_patches


def test_images_are_balanced_spread_over_groups_and_of_different_spots(candidates):
    real, generated = candidates(80, 8, 0)
    chosen = choose_images(real, generated, 40, 3)
    assert Counter(kind for kind, _ in chosen) == {"real": 20, "generated": 20}
    assert set(Counter((kind, real.groups[row]) for kind, row in chosen).values()) == {5}
    assert len({row for _, row in chosen}) == 40
    assert chosen == choose_images(real, generated, 40, 3)
    assert chosen != choose_images(real, generated, 40, 4)


def test_groups_that_run_out_leave_their_turns_to_others(candidates):
    _, generated = candidates(60, 8, 0)
    few = ["rare" if row < 4 else "common" for row in range(60)]
    pools = [Candidates(images=generated.images, groups=few, spots=generated.spots) for _ in range(2)]
    counted = Counter((kind, few[row]) for kind, row in choose_images(*pools, 30, 0))
    assert counted == {
        ("real", "rare"): 2,
        ("generated", "rare"): 2,
        ("real", "common"): 13,
        ("generated", "common"): 13,
    }


def test_too_few_images_are_refused(candidates):
    with pytest.raises(InputError, match=r"too few (real|generated) images of different spots"):
        choose_images(*candidates(19, 8, 0), 20, 0)
    with pytest.raises(InputError, match="even number"):
        choose_images(*candidates(19, 8, 0), 7, 0)


def test_png_is_read_back_and_as_long_as_any_other_of_its_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (33, 20, 3), dtype=np.uint8)
    flat = np.full_like(noise, 200)
    (tmp_path / "noise.png").write_bytes(plain_png(noise))
    np.testing.assert_array_equal(np.rint(255 * imread(tmp_path / "noise.png")), noise)
    assert len(plain_png(noise)) == len(plain_png(flat))
    chunks = [kind for kind in (b"tEXt", b"tIME", b"eXIf", b"gAMA", b"pHYs") if kind in plain_png(flat)]
    assert not chunks


def test_files_show_the_chosen_pixels_at_one_size_and_one_length(make_study, candidates):
    folder = make_study(pixels=16)
    key = read_key(folder)["images"]
    real, generated = candidates(48, 16, 0)
    files = sorted((folder / "images").iterdir())
    assert len({file.stat().st_size for file in files}) == 1
    for file in files:
        entry = key[file.stem]
        pool = real if entry["truth"] == "real" else generated
        row = pool.spots.index(entry["spot"])
        expected = resize_patches(pool.images[row : row + 1], 8)[0]
        np.testing.assert_array_equal(np.rint(255 * imread(file)), expected)


def test_truth_is_in_the_key_alone(make_study):
    folder = make_study(n_images=12, readers=4)
    key = read_key(folder)
    public = (folder / STUDY).read_text()
    assert set(json.loads(public)) == {"title", "instructions", "width_um", "orders"}
    for entry in key["images"].values():
        assert entry["spot"] not in public
        assert entry["group"] not in public
    assert "invented" not in public
    assert (folder / KEY).stat().st_mode & 0o077 == 0  # nobody else's to read


def test_every_reader_has_an_order_of_their_own_and_the_seed_predicts_none(make_study):
    first, second = open_study(make_study("a", readers=5)), open_study(make_study("b", readers=5))
    assert len({tuple(order) for order in first.orders.values()}) == 5
    assert all(sorted(order) == first.images for order in first.orders.values())
    assert len(set(first.tokens)) == 5
    assert not set(first.images) & set(second.images)
    spots = [sorted(e["spot"] for e in read_key(s.folder)["images"].values()) for s in (first, second)]
    assert spots[0] == spots[1]  # the choice itself is the seed's


def test_study_is_complete_or_absent(make_study, candidates, tmp_path):
    folder = make_study()
    with pytest.raises(InputError, match="exists already"):
        make_study()
    assert folder.is_dir()

    class Broken(np.ndarray):
        def __getitem__(self, rows):
            raise OSError("disk")

    real, generated = candidates(48, 8, 0)
    broken = Candidates(images=generated.images.view(Broken), groups=generated.groups, spots=generated.spots)
    with pytest.raises(OSError, match="disk"):
        create_study(tmp_path / "x" / "new", real=real, generated=broken, model="m", n_images=4)
    assert not list((tmp_path / "x").iterdir())


def test_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no reader study"):
        open_study(tmp_path)


def test_clusters_follow_what_patches_look_like():
    generator = np.random.default_rng(0)
    # scales differ, the last column says nothing
    centres = np.array([[0, 0, 1, 7], [1, 500, 1, 7], [1, 0, 1.05, 7]])
    truth = np.repeat([0, 1, 2], 30)
    features = pd.DataFrame(centres[truth] + generator.normal(size=(90, 4)) * [0.02, 10, 0.001, 0])
    features.iloc[5, 3] = np.nan  # such as the eosin of plain glass
    found = morphological_clusters(features, 3)
    assert len(set(zip(truth, found, strict=True))) == 3
    assert np.array_equal(found, morphological_clusters(features, 3))
    with pytest.raises(InputError, match="cannot group"):
        morphological_clusters(features, 91)
