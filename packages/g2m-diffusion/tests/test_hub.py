import time

import pytest

from g2m_diffusion import InputError
from g2m_diffusion.denoiser import load_unet


def test_a_hub_id_without_a_connection_ends_soon_and_in_one_line():
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        load_unet("CompVis/no-such-model", None, None)
    assert time.monotonic() - start < 5
    message = str(error.value)
    assert "denoiser.pretrained 'CompVis/no-such-model'" in message
    assert "local folder" in message
    assert "\n" not in message


def test_a_refused_connection_is_not_tried_again_and_again(monkeypatch):
    # Nothing listens there. huggingface_hub would wait half a minute.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(InputError, match="no such folder"):
        load_unet("CompVis/no-such-model", None, None)
    assert time.monotonic() - start < 5


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(InputError, match="no such folder"):
        load_unet("no/such/folder/at all", None, None)


def test_a_model_in_the_local_cache_needs_no_connection(small_stable_diffusion, tmp_path, monkeypatch):
    # The cache's layout: huggingface_hub, "Manage the cache"
    cached, commit = tmp_path / "hub/models--CompVis--small", "0" * 40
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text(commit)
    (cached / "snapshots").mkdir()
    (tmp_path / "small-sd").rename(cached / "snapshots" / commit)
    for name in ("huggingface_hub.constants.HF_HUB_CACHE", "huggingface_hub.file_download.constants.HF_HUB_CACHE"):
        monkeypatch.setattr(name, str(tmp_path / "hub"))
    assert load_unet("CompVis/small", None, 12).config.cross_attention_dim == 20
