import json

import numpy as np
import pandas as pd
import pytest

from g2m_cli.errors import InputError
from g2m_cli.generation import Drawing, Request, open_images, parse_guidance, strength_name
from g2m_cli.generators import open_generator


def test_guidance_is_read_and_names_the_folder():
    assert parse_guidance("1,3, 7.5") == (1.0, 3.0, 7.5)
    assert [strength_name("tissue", w) for w in (1.0, 2.5, 10.0)] == ["tissue-w1", "tissue-w2.5", "tissue-w10"]


@pytest.mark.parametrize("text", ["abc", "", "1,,3", "-1", "nan", "inf", "1;3"])
def test_guidance_that_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(InputError, match="expected numbers from 0"):
        parse_guidance(text)


@pytest.mark.parametrize("config", [None, "{}", "[", '{"format": "g2m-encoders/1"}'])
def test_folder_that_holds_no_generator_is_refused(tmp_path, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match="no generator here"):
        open_generator(tmp_path)


def test_damaged_pipeline_is_named(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "ExpressionDiffusionPipeline"}))
    with pytest.raises(InputError, match="not a readable diffusion pipeline"):
        open_generator(tmp_path)


def test_noise_depends_on_spot_and_seed_alone(tmp_path):
    obs = pd.DataFrame({"split": ["train"] * 3 + ["test"] * 40, "sample": "s"}, index=[f"s:{i}" for i in range(43)])

    def keys(**changes):
        plan = Drawing.plan(obs, Request(seeds=(0, 1), **changes), tmp_path)
        return {(spot, seed): key for spot, seed, key in zip(plan.spots, plan.seeds, plan.keys, strict=True)}

    whole = keys()
    assert len(whole) == len(set(whole.values())) == 80
    assert keys(guidance=3.0, steps=7) == keys(shuffle_conditions=True) == whole
    fewer = keys(limit=10)
    assert len(fewer) == 20
    assert fewer.items() <= whole.items()
    assert len(set(keys(shared_noise=True).values())) == 2


def test_images_of_a_request_do_not_depend_on_the_batch_and_their_time_is_kept(tmp_path):
    class Echo:
        condition_dim, resolution = 1, 4

        def draw(self, conditions, keys, request):
            return np.broadcast_to((keys % 251).astype(np.uint8)[:, None, None, None], (len(keys), 4, 4, 3))

    import zarr

    obs = pd.DataFrame({"split": "test", "sample": "s"}, index=[f"s:{i}" for i in range(150)])
    plan = Drawing.plan(obs, Request(), tmp_path)
    timing = plan.draw(Echo(), np.zeros((150, 1), np.float32), tmp_path / "images.zarr", lambda steps, note: None)
    images = zarr.open_array(tmp_path / "images.zarr", mode="r")
    assert (images[:, 0, 0, 0] == plan.keys % 251).all()
    assert timing["images"] == 150
    assert timing["seconds_per_1000_images"] >= 0


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="no generated images here"):
        open_images(tmp_path / "generated" / "foo")
