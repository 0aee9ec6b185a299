import json

import numpy as np
import pytest
import torch

from g2m_gan.errors import InputError
from g2m_gan.generator import Generator
from g2m_gan.model import StyleGanG


@pytest.fixture
def model(micro):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = Generator(micro.generator, 12, 16)
        for module in generator.modules():
            if hasattr(module, "noise_strength"):
                torch.nn.init.constant_(module.noise_strength, 0.2)
    return StyleGanG(micro, generator, {"dataset": "abc"})


CONDITIONS = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))


def test_the_same_key_gives_the_same_image_in_any_batch(model):
    keys = torch.arange(9)
    whole = model.generate(CONDITIONS, keys)
    assert whole.shape == (9, 3, 16, 16)
    assert whole.dtype == torch.uint8
    for other in (
        model.generate(CONDITIONS, keys, batch_size=2),
        model.generate(CONDITIONS.flip(0), keys.flip(0)).flip(0),
    ):
        assert (whole.int() - other.int()).abs().max() <= 1  # sums of floats in another order
    assert (whole != model.generate(CONDITIONS, keys + 100)).float().mean() > 0.5


def test_drawing_with_a_gradient_gives_the_same_images(model):
    keys, conditions = torch.arange(9), CONDITIONS.clone().requires_grad_()
    drawn = model.draw(conditions, keys)
    numbers = ((drawn.detach().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    assert (numbers.int() - model.generate(CONDITIONS, keys).int()).abs().max() <= 1
    drawn[0].sum().backward()
    assert conditions.grad[0].abs().sum() > 0
    assert not conditions.grad[1:].any()


def test_arrays_serve_as_well_as_tensors(model):
    keys = np.arange(9, dtype=np.int64)
    assert torch.equal(model.generate(CONDITIONS.numpy(), keys), model.generate(CONDITIONS, torch.arange(9)))


def test_without_noise_vector_images_of_one_condition_grow_alike(model):
    same = CONDITIONS[:1].expand(9, -1)
    spread = [model.generate(same, torch.arange(9), psi).float().std(dim=0).mean() for psi in (1.0, 0.0)]
    assert spread[1] < spread[0]


def test_wrong_shapes_are_refused(model):
    with pytest.raises(InputError, match=r"expects \(n, 12\)"):
        model.generate(torch.zeros(3, 5), torch.arange(3))
    with pytest.raises(InputError, match="one key each"):
        model.generate(CONDITIONS, torch.arange(3))


def test_a_saved_model_draws_the_same(model, tmp_path):
    model.save_pretrained(tmp_path / "gan", {"seed": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gan"]
    assert sorted(path.name for path in (tmp_path / "gan").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    loaded = StyleGanG.from_pretrained(tmp_path / "gan")
    assert loaded.settings == model.settings
    assert loaded.provenance == {"dataset": "abc", "seed": 1}
    assert torch.equal(loaded.generate(CONDITIONS, torch.arange(9)), model.generate(CONDITIONS, torch.arange(9)))
    assert "M parameters" in (tmp_path / "gan" / "README.md").read_text()
    loaded.save_pretrained(tmp_path / "gan")  # replaces
    assert StyleGanG.from_pretrained(tmp_path / "gan").provenance == loaded.provenance


def test_loading_leaves_global_random_numbers_alone(model, tmp_path):
    model.save_pretrained(tmp_path / "gan")
    state = torch.get_rng_state()
    StyleGanG.from_pretrained(tmp_path / "gan")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other settings", "not json"])
def test_damaged_folders_are_refused_in_one_line_naming_the_file(model, tmp_path, spoil):
    folder = tmp_path / "gan"
    model.save_pretrained(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    if spoil == "missing":
        weights.unlink()
    elif spoil == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif spoil == "other settings":
        values = json.loads(config.read_text())
        values["settings"]["generator"]["channel_max"] = 8
        config.write_text(json.dumps(values))
    else:
        config.write_text("{")
    with pytest.raises(InputError) as error:
        StyleGanG.from_pretrained(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failed_save_leaves_nothing(model, tmp_path):
    with pytest.raises(TypeError):
        model.save_pretrained(tmp_path / "gan", {"what": object()})
    assert list(tmp_path.iterdir()) == []
