import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from g2m_diffusion.autoencoder import AutoencoderTask
from g2m_diffusion.config import AutoencoderSettings
from g2m_diffusion.errors import InputError
from g2m_diffusion.moments import sample_moments, write_moments
from g2m_diffusion.views import read_patches, resize

SETTINGS = AutoencoderSettings(resolution=16, channels=(8, 16), norm_groups=4)
PATCHES = torch.randint(0, 256, (11, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def autoencoder():
    built = AutoencoderTask.build(SETTINGS, seed=3).autoencoder
    assert isinstance(built, AutoencoderKL)
    return built.requires_grad_(False).eval()


def patches(rows):
    assert rows.dtype == np.int64
    return PATCHES[rows]


def test_moments_are_the_autoencoders_own_in_both_views(autoencoder, tmp_path):
    write_moments(autoencoder, patches, 11, tmp_path / "m.npy", resolution=16, batch_size=4)
    moments = np.load(tmp_path / "m.npy", mmap_mode="r")
    assert moments.shape == (11, 2, 8, 8, 8)
    assert moments.dtype == np.float16
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]
    images = read_patches(PATCHES, 16)
    for view, seen in enumerate((images, images.flip(3))):
        posterior = autoencoder.encode(seen).latent_dist
        expected = torch.cat([posterior.mean, posterior.logvar], dim=1)
        torch.testing.assert_close(torch.tensor(moments[:, view]).float(), expected, atol=2e-3, rtol=2e-3)


def test_one_view_and_another_width_on_request(autoencoder, tmp_path):
    seen = []

    def track(sequence, description, total):
        seen.append((description, total))
        return sequence

    write_moments(
        autoencoder, patches, 5, tmp_path / "m.npy", resolution=8, encode_px=24, views="one", batch_size=2, track=track
    )
    moments = torch.from_numpy(np.load(tmp_path / "m.npy")).float()
    assert moments.shape == (5, 1, 8, 12, 12)
    assert seen == [("Encoding", 3)]
    expected = autoencoder.encode(resize(read_patches(PATCHES[:5], 8), 24)).latent_dist.mean
    torch.testing.assert_close(moments[:, 0, :4], expected, atol=2e-3, rtol=2e-3)


def test_a_width_that_cannot_be_halved_is_refused(autoencoder, tmp_path):
    with pytest.raises(InputError, match="multiple of 2"):
        write_moments(autoencoder, patches, 5, tmp_path / "m.npy", resolution=16, encode_px=15)


def test_a_failed_write_leaves_nothing(autoencoder, tmp_path):
    def failing(rows):
        if rows[0]:
            raise OSError("gone")
        return PATCHES[rows]

    with pytest.raises(OSError, match="gone"):
        write_moments(autoencoder, failing, 11, tmp_path / "m.npy", resolution=16, batch_size=4)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_write_leaves_nothing_visible_and_the_next_one_succeeds(autoencoder, tmp_path):
    def killing(rows):
        if rows[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return PATCHES[rows]

    def write():
        torch.set_num_threads(1)
        write_moments(autoencoder, killing, 11, tmp_path / "m.npy", resolution=16, batch_size=4)

    process = multiprocessing.get_context("fork").Process(target=write)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    write_moments(autoencoder, patches, 11, tmp_path / "m.npy", resolution=16)
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]


def test_latents_are_drawn_by_key_with_the_posteriors_moments():
    mean, log_variance = torch.full((4000, 2, 3, 3), 5.0), torch.full((4000, 2, 3, 3), 2 * np.log(0.5))
    moments = torch.cat([mean, log_variance], dim=1)
    keys = torch.arange(4000)
    codes = sample_moments(moments, keys, 2.0, 5.0)
    assert codes.mean().item() == pytest.approx(0, abs=0.02)
    assert codes.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(sample_moments(moments[7:9], keys[7:9], 2.0, 5.0), codes[7:9])
    assert not torch.equal(sample_moments(moments[7:9], keys[8:10], 2.0, 5.0), codes[7:9])
