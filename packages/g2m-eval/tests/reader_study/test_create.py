"""A study is balanced, varied, complete or absent, and its files tell nothing but pixels."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from g2m_eval.errors import InputError
from g2m_eval.reader_study.create import Candidates, choose_images, create_study, morphological_clusters
from g2m_eval.reader_study.layout import KEY, LINKS, STUDY, open_study, read_key
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


@pytest.mark.parametrize("scarce", ["real", "generated"])
def test_study_that_is_possible_is_never_refused(candidates, scarce):
    """The few spots of one kind are among the many of the other, which must then take what is its own."""
    _, many = candidates(200, 4, 0)
    few = Candidates(images=many.images[:20], groups=many.groups[:20], spots=many.spots[:20])
    pools = (few, many) if scarce == "real" else (many, few)
    for seed in range(5):
        for half in (18, 20):
            chosen = choose_images(*pools, 2 * half, seed)
            assert Counter(kind for kind, _ in chosen) == {"real": half, "generated": half}
            assert len({row for _, row in chosen}) == 2 * half
    with pytest.raises(InputError, match=f"too few {scarce} images .* 1 are missing"):
        choose_images(*pools, 42, 0)


def test_spots_scarce_on_both_sides_are_shared_out(candidates):
    _, pool = candidates(30, 4, 0)
    parts = [slice(0, 20), slice(10, 30)]  # 10 each of their own, 10 of both
    pools = [Candidates(images=pool.images[p], groups=pool.groups[p], spots=pool.spots[p]) for p in parts]
    for seed in range(5):
        chosen = choose_images(*pools, 30, seed)
        assert len({pools[kind == "generated"].spots[row] for kind, row in chosen}) == 30


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
    key, levels = read_key(folder)["images"], read_key(folder)["levels"]
    real, generated = candidates(48, 16, 0)
    files = sorted((folder / "images").iterdir())
    assert len({file.stat().st_size for file in files}) == 1
    for file in files:
        entry = key[file.stem]
        pool = real if entry["truth"] == "real" else generated
        row = pool.spots.index(entry["spot"])
        low, high = np.array([levels[channel] for channel in ("red", "green", "blue")]).T
        expected = np.clip(resize_patches(pool.images[row : row + 1], 8)[0], low, high)
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


def test_folder_that_cannot_be_made_is_refused(make_study, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="it is a file"):
        make_study("file/study")
    assert (tmp_path / "file").read_text() == "mine"


def test_negative_seed_is_refused(candidates):
    with pytest.raises(InputError, match="seed"):
        choose_images(*candidates(8, 4, 0), 4, -1)


def test_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no reader study"):
        open_study(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"null", b"\xff\xfe", b"{}", b'{"title": "x"}', b"[" * 100_000, b""])
def test_study_file_that_is_none_is_refused(make_study, content):
    folder = make_study()
    (folder / STUDY).write_bytes(content)
    with pytest.raises(InputError, match="is no reader study"):
        open_study(folder)


@pytest.mark.parametrize("orders", [{}, {"reader-01": []}, {"reader-01": ["a"], "reader-02": ["b"]}])
def test_orders_that_do_not_fit_are_refused(make_study, orders):
    folder = make_study(readers=2)
    record = json.loads((folder / STUDY).read_text()) | {"orders": orders}
    (folder / STUDY).write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"put (it|the original) back"):
        open_study(folder)


@pytest.mark.parametrize(
    "content", ["", "reader,token\n", "reader,token\nsomebody,else\n", "reader,token\nreader-01\n"]
)
def test_links_that_fit_no_reader_are_refused(make_study, content):
    folder = make_study()
    (folder / LINKS).write_text(content)
    with pytest.raises(InputError, match=r"links\.csv: needs a line"):
        open_study(folder)


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
