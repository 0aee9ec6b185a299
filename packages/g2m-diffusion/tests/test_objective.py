import pytest
import torch
from diffusers import DDPMScheduler

from g2m_diffusion.config import ObjectiveSettings
from g2m_diffusion.objective import Objective, weighted_error

KEYS = torch.arange(4000)
CODES = torch.randn(4000, 2, 3, 3, generator=torch.Generator().manual_seed(8)) * 0.5 + 1
# Rombach et al. 2022, as Stable Diffusion's scheduler_config.json has it: betas linear in their square root
ALPHA_BAR = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def ask(keys=KEYS, codes=CODES, **settings):
    return Objective(ObjectiveSettings(**settings)).ask(codes, keys)


def column(values):
    return values[:, None, None, None]


def test_a_flow_step_along_the_true_velocity_ends_at_the_clean_code_or_at_noise():
    noisy, time, velocity, weight = ask(target="flow")
    t = column(time / 1000)
    torch.testing.assert_close(noisy - t * velocity, CODES, atol=1e-5, rtol=0)
    noise = noisy + (1 - t) * velocity
    assert noise.mean().abs() < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert torch.corrcoef(torch.stack([noise.flatten(), CODES.flatten()]))[0, 1].abs() < 0.02
    assert (weight == 1).all()


def test_flow_times_are_logit_normal():
    time = ask(target="flow", time_mean=0.5, time_sd=0.8)[1] / 1000
    logit = torch.log(time / (1 - time))
    assert logit.mean() == pytest.approx(0.5, abs=0.05)
    assert logit.std() == pytest.approx(0.8, abs=0.04)
    assert 0 < time.min() < time.max() < 1


def test_noise_targets_follow_stable_diffusions_schedule():
    noisy, time, noise, weight = ask(target="epsilon")
    alpha = column(ALPHA_BAR[time.long()]).float()
    torch.testing.assert_close(noisy, alpha.sqrt() * CODES + (1 - alpha).sqrt() * noise, atol=1e-5, rtol=0)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert (weight == 1).all()
    assert time.min() < 5
    assert time.max() > 994
    assert time.mean() == pytest.approx(499.5, abs=20)
    assert torch.equal(time, time.round())


def test_velocity_targets_are_those_of_salimans_and_ho():
    noisy, time, velocity, _ = ask(target="v_prediction")
    alpha = column(ALPHA_BAR[time.long()]).float()
    noise = (noisy - alpha.sqrt() * CODES) / (1 - alpha).sqrt()
    torch.testing.assert_close(velocity, alpha.sqrt() * noise - (1 - alpha).sqrt() * CODES, atol=2e-4, rtol=0)


@pytest.mark.parametrize("target", ["epsilon", "v_prediction"])
def test_diffusers_own_scheduler_agrees(target):
    noisy, time, answer, _ = ask(target=target)
    ddpm = DDPMScheduler(1000, 0.00085, 0.012, "scaled_linear", prediction_type=target, clip_sample=False)
    noise = ask(target="epsilon")[2]  # the noise belongs to the key, not to the target
    assert torch.equal(noisy, ddpm.add_noise(CODES, noise, time.long()))
    if target == "v_prediction":
        assert torch.equal(answer, ddpm.get_velocity(CODES, noise, time.long()))


@pytest.mark.parametrize("target", ["epsilon", "v_prediction"])
def test_min_snr_weights_give_the_clean_codes_error_the_weight_min_of_snr_and_gamma(target):
    # Hang et al. 2023, Eq. 8, for whatever a network answered: min(SNR, gamma) |x0 - its x0|^2
    noisy, time, truth, weight = ask(target=target, snr_gamma=5.0)
    alpha = ALPHA_BAR[time.long()]
    answer = truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    a, s = column(alpha).sqrt(), column(1 - alpha).sqrt()
    clean = (noisy - s * answer) / a if target == "epsilon" else a * noisy - s * answer
    expected = (alpha / (1 - alpha)).clamp(max=5) * (clean - CODES).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(
        weight.double() * (answer - truth).square().mean(dim=(1, 2, 3)), expected, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("target", ["epsilon", "v_prediction", "flow"])
def test_noise_and_time_belong_to_a_key(target):
    whole = ask(target=target, snr_gamma=5.0)
    part = ask(KEYS[10:20], CODES[10:20], target=target, snr_gamma=5.0)
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[10:20], b, atol=1e-6, rtol=1e-6)
    again = ask(KEYS[10:20] + 5000, CODES[10:20], target=target)
    assert (again[1] != part[1]).any()
    assert (again[0] != part[0]).all()


def test_rescaled_schedule_ends_in_noise_alone_and_sampling_starts_there():
    settings = ObjectiveSettings(target="v_prediction", ddpm_zero_snr=True)
    keys = torch.arange(4000)
    noisy, time, target, _ = Objective(settings).ask(torch.ones(4000, 1, 1, 2), keys)
    last = time == 999
    assert 0 < last.sum() < 20
    noise = Objective(ObjectiveSettings(target="epsilon")).ask(torch.zeros(4000, 1, 1, 2), keys)[2]
    torch.testing.assert_close(noisy[last], noise[last], atol=1e-4, rtol=0)
    torch.testing.assert_close(target[last], -torch.ones_like(target[last]), atol=1e-2, rtol=0)
    scheduler = Objective(settings).scheduler()
    scheduler.set_timesteps(7)
    assert scheduler.timesteps[0] == 999


def test_errors_are_means_of_samples_times_their_weights():
    target = torch.zeros(2, 1, 2, 2)
    answer = torch.stack([torch.full((1, 2, 2), 2.0), torch.full((1, 2, 2), 3.0)])
    assert weighted_error(answer, target, torch.tensor([1.0, 0.5])).item() == pytest.approx((4 + 4.5) / 2)
