import json
import time

import pytest
import torch
from diffusers import AutoencoderKL

from g2m_diffusion.autoencoder import AutoencoderTask, load_autoencoder
from g2m_diffusion.config import AutoencoderSettings
from g2m_diffusion.errors import InputError
from g2m_diffusion.views import read_patches

MICRO = AutoencoderSettings(
    resolution=16,
    channels=(8, 16),
    norm_groups=4,
    warmup_images=32,
    total_images=1_000,
    batch_size=16,
    micro_batch=16,
    lr=3e-3,
)


def make_batch(first, n=16, patch_px=32):
    """Samples `first` to `first + n` of an endless made-up dataset: discs of some colour on another."""
    rows = torch.arange(patch_px)
    patches = []
    for index in range(first, first + n):
        draws = torch.rand(9, generator=torch.Generator().manual_seed(index))
        y, x = draws[:2] * patch_px
        inside = ((rows[:, None] - y) ** 2 + (rows - x) ** 2).sqrt() < patch_px * (0.2 + 0.2 * draws[2])
        patches.append(torch.where(inside, draws[3:6, None, None], draws[6:, None, None]))
    return {"key": torch.arange(first, first + n), "patch": (255 * torch.stack(patches)).to(torch.uint8)}


def train(task, first, count, size=16):
    losses = []
    for step in range(first, first + count):
        values = task.step(make_batch(step * size, size), step * size)
        losses.append({name: value.item() for name, value in values.items()})
    return losses


def snapshot(task):
    """What the application's checkpoint holds: Accelerate's prepared objects, and the task's own state."""
    own = task.state_dict()
    assert all(isinstance(value, torch.Tensor | int | float) for value in own.values())
    states = [task.reconstruction.state_dict(), task.updates.optimizer.state_dict(), own]
    return [copied(state) for state in states]


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def trained():
    task = AutoencoderTask.build(MICRO)
    task.losses = train(task, 0, 40)
    return task


def test_losses_fall_and_are_named(trained):
    assert set(trained.losses[0]) == {"loss", "pixel_error", "edge_error", "kl"}
    for name in ("loss", "edge_error"):
        first, last = (sum(row[name] for row in rows) for rows in (trained.losses[:5], trained.losses[-5:]))
        assert last < 0.75 * first, name
    row = trained.losses[0]
    assert row["loss"] == pytest.approx(row["pixel_error"] + row["edge_error"] + 1e-6 * row["kl"], rel=1e-5)


def test_same_seed_gives_the_same_weights_and_losses_bit_for_bit(trained):
    torch.manual_seed(99)  # global state must not matter
    state = torch.get_rng_state()
    again = AutoencoderTask.build(MICRO)
    assert train(again, 0, 2) == trained.losses[:2]
    assert torch.equal(torch.get_rng_state(), state)
    assert train(AutoencoderTask.build(MICRO, seed=1), 0, 2) != trained.losses[:2]


def test_a_resumed_run_continues_bit_for_bit():
    straight = AutoencoderTask.build(MICRO)
    losses = train(straight, 0, 6)
    stopped = AutoencoderTask.build(MICRO)
    train(stopped, 0, 3)
    weights, optimizer, own = snapshot(stopped)
    train(stopped, 3, 1)  # what was saved must not go on changing
    resumed = AutoencoderTask.build(MICRO, seed=5)
    resumed.reconstruction.load_state_dict(weights)
    resumed.updates.optimizer.load_state_dict(optimizer)
    resumed.load_state_dict(own)
    assert train(resumed, 3, 3) == losses[3:]
    assert resumed.scaling_factor == straight.scaling_factor
    assert resumed.shift_factor == straight.shift_factor


def test_micro_batches_change_memory_only(trained):
    parts = AutoencoderTask.build(AutoencoderSettings(**{**vars(MICRO), "micro_batch": 6}))
    for a, b in zip(train(parts, 0, 5), trained.losses, strict=False):
        assert a == pytest.approx(b, abs=1e-6, rel=1e-5)


def test_the_learning_rate_rises_and_falls_to_nothing_by_images_seen():
    task = AutoencoderTask.build(MICRO)
    for seen, expected in ((0, 0.25), (200, 1.0), (742, 0.5), (984, 0.016)):
        task.step(make_batch(seen), seen)
        assert task.updates.optimizer.param_groups[0]["lr"] == pytest.approx(expected * MICRO.lr)


def test_evaluation_measures_reconstructions_of_the_posterior_mean_and_touches_nothing(trained):
    before = str(snapshot(trained))
    scores = trained.evaluate([make_batch(5000, 20), make_batch(5020, 4)])
    assert str(snapshot(trained)) == before
    images = read_patches(make_batch(5000, 24)["patch"], 16)
    with torch.no_grad():
        decoded = trained.autoencoder.decode(trained.autoencoder.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
    error = decoded - images
    assert scores["mse"] == pytest.approx(error.square().mean().item(), rel=1e-4)
    assert scores["mae_grey_levels"] == pytest.approx(127.5 * error.abs().mean().item(), rel=1e-4)
    grey_levels = 127.5 * error.square().mean().sqrt().item()
    assert scores["psnr_db"] == pytest.approx(20 * torch.tensor(255 / grey_levels).log10().item(), rel=1e-4)
    with pytest.raises(InputError, match="no samples"):
        trained.evaluate([])


def test_export_opens_with_diffusers_and_reconstructs_the_same(trained, tmp_path):
    trained.scores = {}
    trained.export(tmp_path / "vae", {"dataset": "abc"})
    files = sorted(path.name for path in (tmp_path / "vae").iterdir())
    assert files == ["README.md", "config.json", "diffusion_pytorch_model.safetensors"]
    card = (tmp_path / "vae" / "README.md").read_text()
    assert "16 x 16 px to latents of 4 x 8 x 8" in card
    assert "Training patches" in card
    assert "abc" in card
    opened = AutoencoderKL.from_pretrained(tmp_path / "vae")
    images = read_patches(make_batch(0)["patch"], 16)
    with torch.no_grad():
        assert torch.equal(opened(images).sample, trained.autoencoder(images).sample)
    assert opened.config.sample_size == 16

    trained.evaluate([make_batch(5000)])
    trained.export(tmp_path / "vae")  # replaces
    assert "Held-out patches" in (tmp_path / "vae" / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["vae"]


def test_exported_factors_bring_latents_to_mean_0_and_unit_variance(tmp_path):
    settings = AutoencoderSettings(**{**vars(MICRO), "total_images": 640})
    task = AutoencoderTask.build(settings)
    train(task, 0, 40)  # to the end, where the weights hardly move
    task.export(tmp_path / "vae")
    autoencoder = load_autoencoder(tmp_path / "vae")
    latents = autoencoder.encode(read_patches(make_batch(0, 256)["patch"], 16)).latent_dist.sample()
    codes = (latents - autoencoder.config.shift_factor) * autoencoder.config.scaling_factor
    assert codes.std().item() == pytest.approx(1, abs=0.05)
    assert codes.mean().item() == pytest.approx(0, abs=0.05)


def test_a_failed_export_leaves_nothing(trained, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(trained.autoencoder, "save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        trained.export(tmp_path / "vae")
    assert list(tmp_path.iterdir()) == []


def test_an_autoencoder_is_found_by_itself_or_in_a_pipeline_and_comes_frozen(trained, tmp_path):
    trained.export(tmp_path / "pipeline" / "vae")
    for folder in (tmp_path / "pipeline" / "vae", tmp_path / "pipeline", str(tmp_path / "pipeline")):
        autoencoder = load_autoencoder(folder)
        assert not autoencoder.training
        assert not any(weight.requires_grad for weight in autoencoder.parameters())
        assert autoencoder.config.block_out_channels == [8, 16]


def test_a_missing_autoencoder_is_one_quick_line_that_says_what_to_do(tmp_path):
    for name in ("no-such-owner-of-g2m/no-such-model", str(tmp_path / "no" / "such"), "nowhere"):
        began = time.monotonic()
        with pytest.raises(InputError) as error:
            load_autoencoder(name)
        assert time.monotonic() - began < 12
        assert "\n" not in str(error.value)
        assert all(word in str(error.value) for word in (name, "local folder", "train-vae", "HF_TOKEN"))


def test_without_a_connection_the_hubs_cache_serves(trained, tmp_path, monkeypatch):
    snapshots = tmp_path / "models--owner--name" / "snapshots" / "0123"
    trained.export(snapshots / "vae")
    refs = tmp_path / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    assert load_autoencoder("owner/name").config.sample_size == 16


def unreachable(*_, **__):
    raise ConnectionError("no connection")


@pytest.mark.parametrize("spoil", ["empty", "truncated", "other shapes", "weights missing"])
def test_damaged_folders_are_refused_in_one_line_naming_the_folder(trained, tmp_path, spoil):
    folder = tmp_path / "vae"
    trained.export(folder)
    weights, config = folder / "diffusion_pytorch_model.safetensors", folder / "config.json"
    values = json.loads(config.read_text())
    if spoil == "empty":
        weights.unlink()
        config.unlink()
    elif spoil == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        values |= {"block_out_channels": [8, 32]} if spoil == "other shapes" else {"layers_per_block": 2}
        config.write_text(json.dumps(values))
    with pytest.raises(InputError) as error:
        load_autoencoder(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def run_process(rank, folder, gloo):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/ready", rank=rank, world_size=2)
    task = AutoencoderTask.build(AutoencoderSettings(**{**vars(MICRO), "micro_batch": 4}))
    task.prepare(gloo())
    for step in range(5):
        task.step(make_batch(16 * step + 8 * rank, 8), 16 * step)
    torch.save([task.autoencoder.state_dict(), task.state_dict()], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_compute_what_one_would(tmp_path, gloo):
    torch.multiprocessing.start_processes(run_process, args=(str(tmp_path), gloo), nprocs=2, start_method="fork")
    one = AutoencoderTask.build(MICRO)
    train(one, 0, 5)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first[1]["running"], second[1]["running"])
    torch.testing.assert_close(first[1]["running"], one.state_dict()["running"], atol=1e-6, rtol=1e-4)
    for name, value in one.autoencoder.state_dict().items():
        torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=1e-3)
