import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from g2m_interpret.attribution.integral import integrate_gradients


def ends(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 24, generator=generator, dtype=torch.float64) * 3


def distance_from(network, start):
    with torch.no_grad():
        target = network(start[None])
    return lambda x: (network(x) - target).square().sum(dim=1)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.ReLU(), nn.Hardtanh()])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-6])
def test_completeness_is_within_the_tolerance_on_smooth_and_on_kinked_networks(network, activation, tolerance):
    start, end = ends()
    function = distance_from(network(activation).double(), start)
    found = integrate_gradients(function, start, end, tolerance=tolerance)
    change = float((function(end[None]) - function(start[None])).detach())
    assert found.change == pytest.approx(change, rel=1e-12)
    assert abs(float(found.attributions.sum()) - change) <= tolerance * abs(change)
    assert found.error <= tolerance


def test_equal_steps_miss_on_a_kinked_network_what_adaptive_ones_meet(network):
    start, end = ends()
    function = distance_from(network(nn.ReLU()).double(), start)
    change = float(function(end[None]).detach())
    equal = IntegratedGradients(function).attribute(end[None], baselines=start[None], n_steps=50)
    assert abs(float(equal.sum()) - change) > 1e-5 * change
    assert integrate_gradients(function, start, end).error <= 1e-5


def test_attributions_equal_captum_with_very_many_steps(network):
    start, end = ends()
    function = distance_from(network(nn.ReLU()).double(), start)
    many = IntegratedGradients(function).attribute(
        end[None], baselines=start[None], n_steps=20_000, method="riemann_middle", internal_batch_size=4096
    )[0]
    found = integrate_gradients(function, start, end, tolerance=1e-6).attributions
    torch.testing.assert_close(found, many, rtol=0, atol=1e-4 * float(many.abs().max()))


def test_batches_smaller_than_the_nodes_change_nothing(network):
    start, end = ends()
    function = distance_from(network(nn.GELU()).double(), start)
    whole, parts = (integrate_gradients(function, start, end, batch_size=size) for size in (256, 3))
    torch.testing.assert_close(whole.attributions, parts.attributions, rtol=1e-9, atol=1e-12)


def test_never_more_than_the_batch_passes_at_once(network):
    start, end = ends()
    inner, seen = distance_from(network(nn.ReLU()).double(), start), []

    def function(x):
        seen.append(len(x))
        return inner(x)

    integrate_gradients(function, start, end, batch_size=16)
    assert max(seen) <= 16


def test_a_path_of_no_length_attributes_nothing(network):
    start, _ = ends()
    found = integrate_gradients(distance_from(network(nn.GELU()).double(), start), start, start)
    assert found.error == 0
    assert not found.attributions.any()


def test_an_exhausted_budget_is_told_by_the_error(network):
    start, end = ends()
    found = integrate_gradients(
        distance_from(network(nn.ReLU()).double(), start), start, end, tolerance=1e-7, max_evaluations=40
    )
    assert found.error > 1e-7
    assert found.evaluations < 200
