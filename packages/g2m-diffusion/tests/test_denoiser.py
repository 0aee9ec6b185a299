import pytest
import torch
from diffusers import UNet2DConditionModel

from g2m_diffusion import InputError
from g2m_diffusion.denoiser import Denoiser, load_unet

NOISY = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
TIME = torch.tensor([3.0, 500.0, 999.0])


def embeddings():
    return torch.nn.functional.normalize(torch.randn(3, 12, generator=torch.Generator().manual_seed(6)), dim=1)


def fine_tuned(micro, changed, source, **values):
    return changed(
        micro, {"codes.views": "flips", "codes.autoencoder": source, "denoiser.pretrained": source, **values}
    )


def test_half_precision_weights_are_fine_tuned_in_single_precision(small_stable_diffusion):
    stored = UNet2DConditionModel.from_pretrained(small_stable_diffusion, subfolder="unet", torch_dtype=torch.float16)
    for source in (small_stable_diffusion, small_stable_diffusion + "/unet"):
        for vector_dim in (None, 12):
            unet = load_unet(source, None, vector_dim)
            assert unet.training
            loaded = dict(unet.named_parameters())
            assert {p.dtype for p in loaded.values()} == {torch.float32}
            assert all(p.requires_grad for p in loaded.values())
            for name, value in stored.named_parameters():
                assert torch.equal(loaded[name], value.float()), name
            new = set(loaded) - {name for name, _ in stored.named_parameters()}
            assert all(name.startswith("class_embedding") for name in new)
            assert bool(new) == (vector_dim is not None)


def test_a_new_path_for_the_condition_changes_nothing_at_the_start_and_learns(
    small_stable_diffusion, micro, changed, null_embedding
):
    settings = fine_tuned(micro, changed, small_stable_diffusion)
    denoiser = Denoiser.build(settings, (4, 8, 8), 12, null_embedding)
    plain = load_unet(small_stable_diffusion, None, None)
    tokens, vector = denoiser.condition(embeddings())
    assert vector.abs().max() > 0.1
    answer = denoiser(NOISY, TIME, embeddings())
    assert torch.equal(answer, plain(NOISY, TIME, encoder_hidden_states=tokens).sample)
    answer.square().mean().backward()
    assert denoiser.unet.class_embedding.linear_2.weight.grad.abs().max() > 0


def test_the_paper_s_condition_adds_no_weights(small_stable_diffusion, micro, changed, null_embedding):
    settings = fine_tuned(
        micro, changed, small_stable_diffusion, **{"condition.kind": "padded", "condition.in_time_embedding": False}
    )
    denoiser = Denoiser.build(settings, (4, 8, 8), 12, null_embedding)
    assert not list(denoiser.condition.parameters())
    padded = torch.cat([embeddings(), torch.ones(3, 8)], dim=1)[:, None].expand(-1, 77, -1)
    expected = load_unet(small_stable_diffusion, None, None)(NOISY, TIME, encoder_hidden_states=padded).sample
    torch.testing.assert_close(denoiser(NOISY, TIME, embeddings()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_every_weight_of_a_network_from_scratch_takes_part(
    micro, changed, null_embedding, levels, checkpointing, randomised
):
    # or several processes would wait for gradients that never come
    values = {"denoiser.attention_levels": levels, "denoiser.gradient_checkpointing": checkpointing}
    denoiser = randomised(Denoiser.build(changed(micro, values), (12, 8, 8), 12, null_embedding)).train()
    noisy = torch.randn(3, 12, 8, 8)
    answer = denoiser(noisy, TIME, embeddings())
    assert answer.shape == noisy.shape
    assert (answer - denoiser(noisy, TIME, embeddings().flip(0)))[0].abs().max() > 1e-4
    answer.square().mean().backward()
    assert [name for name, p in denoiser.named_parameters() if p.grad is None] == []


def test_heads_have_the_width_asked_for(micro, changed, null_embedding):
    unet = Denoiser.build(changed(micro, {"denoiser.attention_levels": 2}), (12, 8, 8), 12, null_embedding).unet
    heads = [block.attentions[0].transformer_blocks[0].attn2.heads for block in unet.down_blocks]
    assert heads == [16 // 8, 32 // 8]


@pytest.mark.parametrize("spoil", ["nothing there", "other folder", "missing weights", "truncated", "an autoencoder"])
def test_what_is_no_unet_is_refused_in_one_line(small_stable_diffusion, tmp_path, spoil):
    source, weights = small_stable_diffusion, tmp_path / "small-sd/unet/diffusion_pytorch_model.safetensors"
    if spoil == "nothing there":
        source = str(tmp_path / "none")
    elif spoil == "other folder":
        source = str(tmp_path)
    elif spoil == "missing weights":
        weights.unlink()
    elif spoil == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        source += "/vae"
    for vector_dim in (None, 12):
        with pytest.raises(InputError, match=r"denoiser\.pretrained") as error:
            load_unet(source, None, vector_dim)
        assert source in str(error.value)
        assert "\n" not in str(error.value)


def test_unet_that_wants_more_than_time_and_tokens_is_refused(small_stable_diffusion):
    folder = f"{small_stable_diffusion}/unet"
    config = dict(UNet2DConditionModel.load_config(folder))
    more = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 20,
    }
    UNet2DConditionModel.from_config(config | more).save_pretrained(folder)
    with pytest.raises(InputError, match="SDXL"):
        load_unet(small_stable_diffusion, None, None)


def test_weights_that_are_not_all_there_are_refused(small_stable_diffusion, tmp_path):
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "small-sd/unet/diffusion_pytorch_model.safetensors"
    some = load_file(weights)
    some.pop("conv_in.weight")
    save_file(some, weights)
    for vector_dim in (None, 12):
        with pytest.raises(InputError, match="conv_in"):
            load_unet(small_stable_diffusion, None, vector_dim)


def test_codes_of_another_shape_are_refused(small_stable_diffusion, micro, changed, null_embedding):
    with pytest.raises(InputError, match=r"denoiser\.pretrained.*from 4 channels to 4, but codes have 16") as error:
        Denoiser.build(fine_tuned(micro, changed, small_stable_diffusion), (16, 8, 8), 12, null_embedding)
    assert "\n" not in str(error.value)
