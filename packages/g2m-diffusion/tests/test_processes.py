"""Two processes compute what one would."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

STEPS = 20


def build(settings, null_embedding, make_batch):
    from g2m_diffusion import DiffusionTask

    return DiffusionTask.build(settings, 12, null_embedding, make_batch(10**6, 64)["patch"])


def train(task, make_batch, rank, processes, batch_size):
    share = batch_size // processes
    rows = []
    for step in range(STEPS):
        first = batch_size * step
        losses = task.step(make_batch(first + rank * share, share), first)
        values = torch.stack(list(losses.values())).double()
        if processes > 1:
            dist.all_reduce(values)
        rows.append(values / processes)
    return torch.stack(rows)


def run_process(rank, folder, settings, null_embedding, make_batch, ready, gloo):
    os.environ.update(MASTER_ADDR="127.0.0.1", USE_LIBUV="0")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{ready}", rank=rank, world_size=2)
    task = build(settings, null_embedding, make_batch)
    task.prepare(gloo())
    results = {"losses": train(task, make_batch, rank, 2, settings.batch_size)}
    if rank == 0:
        from safetensors.torch import save_file

        results |= {f"ema.{name}": value for name, value in task.ema.state_dict().items()}
        save_file({name: value.contiguous() for name, value in results.items()}, Path(folder) / "two.safetensors")
    dist.destroy_process_group()


@pytest.mark.parametrize("attention_levels", [0, 1])
def test_two_processes_compute_what_one_would(
    micro, null_embedding, batch_from, changed, gloo, tmp_path, attention_levels
):
    from safetensors.torch import load_file

    settings = changed(micro, {"batch_size": 32, "micro_batch": 8, "denoiser.attention_levels": attention_levels})
    torch.multiprocessing.start_processes(
        run_process,
        args=(str(tmp_path), settings, null_embedding, batch_from, str(tmp_path / "ready"), gloo),
        nprocs=2,
        start_method="fork",
    )
    two = load_file(tmp_path / "two.safetensors")
    torch.set_num_threads(1)  # like each of the two: more threads sum in another order, and Adam amplifies rounding
    task = build(settings, null_embedding, batch_from)
    torch.testing.assert_close(two["losses"], train(task, batch_from, 0, 1, 32), atol=1e-5, rtol=0)
    for name, value in task.ema.state_dict().items():
        torch.testing.assert_close(two[f"ema.{name}"], value, atol=1e-4, rtol=1e-4)
