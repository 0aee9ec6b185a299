import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    SchedulerMixin,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from PIL import Image

from g2m_diffusion import ExpressionDiffusionPipeline, InputError
from g2m_diffusion.config import ObjectiveSettings
from g2m_diffusion.denoiser import Denoiser
from g2m_diffusion.noise import Stream, draw_normal
from g2m_diffusion.objective import Objective

EMBEDDINGS = torch.nn.functional.normalize(torch.randn(6, 12, generator=torch.Generator().manual_seed(0)), dim=1)
KEYS = torch.arange(6) + 100
ALPHA_BAR = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
# Lin et al. 2024, Algorithm 1: the square roots shifted so that the last is 0, and scaled so that the first stays
RESCALED = ((ALPHA_BAR.sqrt() - ALPHA_BAR[-1].sqrt()) / (1 - (ALPHA_BAR[-1] / ALPHA_BAR[0]).sqrt())) ** 2
TARGETS = (("flow", False), ("epsilon", False), ("v_prediction", False), ("v_prediction", True))


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def denoiser(micro, null_embedding, randomised):
    return randomised(Denoiser.build(micro, (12, 8, 8), 12, null_embedding)).eval().requires_grad_(False)


@pytest.fixture
def pipeline(denoiser):
    return make_pipeline(denoiser, "flow")


def make_pipeline(denoiser, target, zero_snr=False):
    made = ExpressionDiffusionPipeline(
        unet=denoiser.unet,
        condition=denoiser.condition,
        scheduler=Objective(ObjectiveSettings(target=target, ddpm_zero_snr=zero_snr)).scheduler(),
        resolution=16,
        pixel_block=2,
        pixel_mean=[0.1, -0.2, 0.3],
        pixel_deviation=0.02,  # nothing is cut off at black and white
        steps=6,
    )
    made.set_progress_bar_config(disable=True)
    return made


def decode(codes):
    """By hand what `make_pipeline`'s settings say, in [0, 1]."""
    images = torch.nn.functional.pixel_shuffle(codes, 2) * 0.02 + torch.tensor([0.1, -0.2, 0.3])[:, None, None]
    return (images + 1) / 2


def levels(noisy, time, target, zero_snr=False):
    """Share of clean code and of noise at a time."""
    time = torch.as_tensor(time).double().expand(len(noisy))[:, None, None, None]
    if target == "flow":
        return 1 - time / 1000, time / 1000
    table = RESCALED if zero_snr else ALPHA_BAR
    lower, upper = table[time.long()], table[(time.long() + 1).clamp(max=999)]
    alpha = lower + (time - time.long()) * (upper - lower)
    return alpha.sqrt(), (1 - alpha).sqrt()


def answer_with(pipeline, target, clean_of, zero_snr=False):
    """Make the U-Net answer as one would who guesses that the clean code is `clean_of(noisy, a, b)`."""

    def forward(noisy, time, **_):
        a, b = levels(noisy, time, target, zero_snr)
        clean = clean_of(noisy.double(), a, b)
        noise = (noisy - a * clean) / b
        answer = {"flow": noise - clean, "epsilon": noise, "v_prediction": a * noise - b * clean}[target]
        return type("Output", (), {"sample": answer.float()})

    pipeline.unet.forward = forward


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize(("target", "zero_snr"), TARGETS)
def test_who_knows_the_clean_code_draws_it(denoiser, target, steps, zero_snr):
    pipeline = make_pipeline(denoiser, target, zero_snr)
    clean = torch.randn(6, 12, 8, 8, generator=seeded(9))
    answer_with(pipeline, target, lambda noisy, a, b: clean.double(), zero_snr)
    drawn = pipeline(EMBEDDINGS, steps, generator=seeded(), output_type="pt").images
    torch.testing.assert_close(drawn, decode(clean), atol=1e-5, rtol=0)  # 0.01 would be one deviation of a code


MEAN, SPREAD = 0.7, 0.5  # of codes that are independent and normal: the ideal denoiser is known, and where it leads


def ideal(noisy, a, b):
    return MEAN + a * SPREAD**2 / (a**2 * SPREAD**2 + b**2) * (noisy - a * MEAN)


SCHEDULERS = {
    "flow": [
        (FlowMatchEulerDiscreteScheduler, {}),
        (FlowMatchHeunDiscreteScheduler, {}),
        (UniPCMultistepScheduler, {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 1.0}),
        (
            DPMSolverMultistepScheduler,
            {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 1.0},
        ),
    ],
    "epsilon": [
        (DDIMScheduler, {}),
        (EulerDiscreteScheduler, {}),
        (DPMSolverMultistepScheduler, {}),
        (UniPCMultistepScheduler, {}),
    ],
}
SCHEDULERS["v_prediction"] = SCHEDULERS["epsilon"]


@pytest.mark.parametrize(
    ("target", "kind", "options"), [(target, *one) for target in SCHEDULERS for one in SCHEDULERS[target]]
)
def test_any_scheduler_follows_the_ideal_denoiser_to_the_image_that_its_noise_belongs_to(
    denoiser, target, kind, options
):
    pipeline = make_pipeline(denoiser, target)
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **options)
    answer_with(pipeline, target, ideal)
    drawn = pipeline(EMBEDDINGS, 50, generator=seeded(), output_type="pt").images
    start = torch.randn(6, 12, 8, 8, generator=seeded())  # diffusers' own way to draw it
    a = 0.0 if target == "flow" else ALPHA_BAR[-1].sqrt()
    exact = MEAN + SPREAD * (start - a * MEAN) / (a**2 * SPREAD**2 + 1 - a**2) ** 0.5
    error = (drawn - decode(exact)) / 0.01  # in deviations of a code
    assert error.abs().max() < 0.2
    assert error.square().mean().sqrt() < 0.04


def test_few_steps_are_nearly_as_good_as_many(denoiser):
    for target in SCHEDULERS:
        pipeline = make_pipeline(denoiser, target)
        answer_with(pipeline, target, ideal)
        few, many = (pipeline(EMBEDDINGS, n, generator=seeded(), output_type="pt").images for n in (20, 500))
        assert (few - many).square().mean().sqrt() / 0.01 < 0.1


def one_step(denoiser, embeddings, start):
    """Where one step from noise leads without guidance: start - velocity at time 1."""
    time = torch.full((len(start),), 1000.0)
    with torch.no_grad():
        return denoiser(start, time, embeddings)


@pytest.mark.parametrize("w", [0.0, 0.5, 1.0, 3.0, 7.0])
def test_guidance_is_unconditional_plus_w_times_the_difference(pipeline, denoiser, null_embedding, w):
    start = torch.randn(6, 12, 8, 8, generator=seeded())
    given = one_step(denoiser, EMBEDDINGS, start)
    nothing = one_step(denoiser, null_embedding.expand(6, -1), start)
    assert (given - nothing).abs().max() > 0.05
    drawn = pipeline(EMBEDDINGS, 1, w, seeded(), "pt").images
    torch.testing.assert_close(drawn, decode(start - (nothing + w * (given - nothing))), atol=2e-6, rtol=0)


def test_strength_1_is_the_conditional_model_exactly_and_costs_one_evaluation(pipeline, denoiser):
    start = torch.randn(6, 12, 8, 8, generator=seeded())
    expected = decode(start - one_step(denoiser, EMBEDDINGS, start))
    seen = []
    pipeline.unet.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    drawn = pipeline(EMBEDDINGS, 1, 1.0, seeded(), "pt").images
    torch.testing.assert_close(drawn, expected, atol=1e-7, rtol=0)
    pipeline.condition.null_embedding.fill_(float("nan"))  # never read
    assert torch.equal(pipeline(EMBEDDINGS, 1, 1.0, seeded(), "pt").images, drawn)
    pipeline(EMBEDDINGS, 1, [1, 3], [seeded(index) for index in range(6)], "pt")
    assert seen == [6, 6, 18]


@pytest.mark.parametrize("kind", [None, DDPMScheduler, EulerAncestralDiscreteScheduler])
@pytest.mark.parametrize("each", [False, True])
def test_several_strengths_at_once_are_what_each_gives_by_itself(denoiser, kind, each):
    # also where the sampler adds noise in every step
    pipeline = make_pipeline(denoiser, "epsilon" if kind else "flow")
    if kind:
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config)

    def generator():
        return [seeded(index) for index in range(6)] if each else seeded()

    together = pipeline(EMBEDDINGS, 4, [1, 3, 7], generator(), "pt").images
    assert together.shape == (3, 6, 3, 16, 16)
    for w, images in zip((1.0, 3.0, 7.0), together, strict=True):
        torch.testing.assert_close(pipeline(EMBEDDINGS, 4, w, generator(), "pt").images, images, atol=2e-5, rtol=0)
    drawn = pipeline.draw(EMBEDDINGS, KEYS, (1.0, 3.0, 7.0))
    for w, images in zip((1.0, 3.0, 7.0), drawn, strict=True):
        assert (pipeline.draw(EMBEDDINGS, KEYS, (w,))[0].int() - images.int()).abs().max() <= 1


def test_the_same_generator_draws_the_same_and_another_something_else(pipeline):
    torch.manual_seed(3)
    first = pipeline(EMBEDDINGS, generator=seeded(1), output_type="uint8").images
    torch.manual_seed(4)
    assert np.array_equal(pipeline(EMBEDDINGS, generator=seeded(1), output_type="uint8").images, first)
    assert (pipeline(EMBEDDINGS, generator=seeded(2), output_type="uint8").images != first).mean() > 0.5
    different = pipeline(EMBEDDINGS, output_type="uint8").images
    torch.manual_seed(4)
    assert np.array_equal(pipeline(EMBEDDINGS, output_type="uint8").images, different)


@pytest.mark.parametrize("kind", [None, EulerAncestralDiscreteScheduler])
def test_the_same_key_draws_the_same_image_in_any_batch(denoiser, kind):
    pipeline = make_pipeline(denoiser, "epsilon" if kind else "flow")
    if kind:
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    whole = pipeline.draw(EMBEDDINGS, KEYS, (1.0, 2.0))
    assert whole.shape == (2, 6, 16, 16, 3)
    assert whole.dtype == torch.uint8
    torch.manual_seed(77)
    for other in (
        pipeline.draw(EMBEDDINGS, KEYS, (1.0, 2.0), batch_size=4),
        pipeline.draw(EMBEDDINGS.flip(0), KEYS.flip(0), (1.0, 2.0)).flip(1),
        pipeline.draw(EMBEDDINGS.numpy(), KEYS.numpy(), [2.0, 1.0]).flip(0),
    ):
        assert (whole.int() - other.int()).abs().max() <= 1  # sums of floats in another order
    assert (pipeline.draw(EMBEDDINGS, KEYS + 6) != whole[:1]).float().mean() > 0.5


def test_drawing_starts_from_the_key_s_own_noise(pipeline, denoiser):
    start = draw_normal(KEYS, Stream.START, 12 * 64).reshape(6, 12, 8, 8)
    expected = decode(start - one_step(denoiser, EMBEDDINGS, start)) * 255
    drawn = pipeline.draw(EMBEDDINGS, KEYS, steps=1)[0].permute(0, 3, 1, 2)
    assert (drawn - expected).abs().max() < 0.51


def test_a_generator_for_each_image_draws_the_same_in_any_batch(pipeline):
    whole = pipeline(EMBEDDINGS, generator=[seeded(index) for index in range(6)], output_type="pt").images
    part = pipeline(EMBEDDINGS[2:4], generator=[seeded(2), seeded(3)], output_type="pt").images
    torch.testing.assert_close(part, whole[2:4], atol=1e-6, rtol=0)


def test_output_types_hold_the_same_images(pipeline):
    pt, uint8, array, pil = (
        pipeline(EMBEDDINGS, generator=seeded(), output_type=kind).images for kind in ("pt", "uint8", "np", "pil")
    )
    assert pt.shape == (6, 3, 16, 16)
    assert uint8.dtype == np.uint8
    assert uint8.shape == (6, 16, 16, 3)
    assert np.abs(pt.permute(0, 2, 3, 1).numpy() * 255 - uint8).max() < 0.51
    assert array.dtype == np.float32
    assert np.allclose(array * 255, uint8)
    assert all(isinstance(image, Image.Image) for image in pil)
    assert np.array_equal(np.stack([np.asarray(image) for image in pil]), uint8)
    both = pipeline(EMBEDDINGS, guidance_scale=[1, 3], generator=seeded()).images
    assert [len(images) for images in both] == [6, 6]
    assert np.array_equal(np.asarray(both[0][0]), np.asarray(pil[0]))


def test_no_embeddings_give_no_images(pipeline):
    assert pipeline.draw(EMBEDDINGS[:0], KEYS[:0]).shape == (1, 0, 16, 16, 3)


@pytest.mark.parametrize("values", [[1], {"guidance_scale": [1, -2]}, {"guidance_scale": []}, {"output_type": "jpeg"}])
def test_nonsense_is_refused(pipeline, values):
    embeddings = EMBEDDINGS if isinstance(values, dict) else EMBEDDINGS[:, :5]
    with pytest.raises(InputError) as error:
        pipeline(embeddings, **(values if isinstance(values, dict) else {}))
    assert "\n" not in str(error.value)


def test_no_steps_and_missing_keys_are_refused(pipeline):
    with pytest.raises(InputError, match="at least 1"):
        pipeline(EMBEDDINGS, 0)
    with pytest.raises(InputError, match="one key each"):
        pipeline.draw(EMBEDDINGS, KEYS[:2])


def test_a_saved_pipeline_draws_the_same(pipeline, null_embedding, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = ExpressionDiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is ExpressionDiffusionPipeline
    assert torch.equal(loaded.condition.null_embedding, null_embedding)
    assert (loaded.resolution, loaded.condition_dim, loaded.vae) == (16, 12, None)
    assert torch.equal(loaded.draw(EMBEDDINGS, KEYS, (1.0, 3.0)), pipeline.draw(EMBEDDINGS, KEYS, (1.0, 3.0)))
    # and its parts are diffusers' own
    unet = UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet")
    assert all(torch.equal(a, b) for a, b in zip(unet.parameters(), pipeline.unet.parameters(), strict=True))
    assert isinstance(FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path, subfolder="scheduler"), SchedulerMixin)


def test_a_pipeline_on_latents_draws_through_its_autoencoder(
    micro, changed, small_autoencoder, null_embedding, tmp_path
):
    denoiser = Denoiser.build(micro, (4, 16, 16), 12, null_embedding)
    pipeline = ExpressionDiffusionPipeline(
        unet=denoiser.unet,
        condition=denoiser.condition,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=small_autoencoder,
        resolution=16,
        encode_px=32,
    )
    clean = torch.randn(6, 4, 16, 16, generator=seeded(9))
    answer_with(pipeline, "flow", lambda noisy, a, b: clean.double())
    drawn = pipeline(EMBEDDINGS, 3, output_type="pt").images
    decoded = small_autoencoder.decode(clean / small_autoencoder.config.scaling_factor).sample
    expected = (torch.nn.functional.avg_pool2d(decoded, 2) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=0)
    del pipeline.unet.forward
    pipeline.save_pretrained(tmp_path)
    loaded = ExpressionDiffusionPipeline.from_pretrained(tmp_path)
    assert torch.equal(loaded.draw(EMBEDDINGS, KEYS), pipeline.draw(EMBEDDINGS, KEYS))


def test_bfloat16_draws_nearly_the_same(pipeline):
    exact = pipeline.draw(EMBEDDINGS, KEYS)
    rough = pipeline.to(torch.bfloat16).draw(EMBEDDINGS, KEYS)
    assert (exact.int() - rough.int()).abs().float().mean() < 1


def test_guidance_under_autocast_draws_nearly_the_same(pipeline):
    exact = pipeline.draw(EMBEDDINGS, KEYS, guidance=(1.0, 3.0))
    with torch.autocast("cpu", torch.bfloat16):
        rough = pipeline.draw(EMBEDDINGS, KEYS, guidance=(1.0, 3.0))
    assert (exact.int() - rough.int()).abs().float().mean() < 1


def test_drawing_leaves_the_progress_bar_as_it_was(pipeline):
    pipeline.set_progress_bar_config(desc="Drawing")
    pipeline.draw(EMBEDDINGS, KEYS)
    assert pipeline._progress_bar_config == {"desc": "Drawing"}
    with pytest.raises(InputError):
        pipeline.draw(EMBEDDINGS, KEYS, steps=0)
    assert pipeline._progress_bar_config == {"desc": "Drawing"}
