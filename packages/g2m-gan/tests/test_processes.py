"""Two processes compute what one would."""

import contextlib
import os
from pathlib import Path

import torch
import torch.distributed as dist

STEPS = (20, 5)  # of the first and the second stage


class Gloo:
    """A stand-in for `accelerate.Accelerator` on two CPU processes."""

    device = torch.device("cpu")

    def prepare(self, *parts):
        wrap = torch.nn.parallel.DistributedDataParallel
        return tuple(wrap(part) if isinstance(part, torch.nn.Module) else part for part in parts)

    def backward(self, loss):
        loss.backward()

    @contextlib.contextmanager
    def no_sync(self, module):
        with module.no_sync():
            yield


def train(task, make_batch, rank, processes, *, batch_size, steps):
    share = batch_size // processes
    rows = []
    for step in range(steps):
        first = batch_size * step
        losses = task.step(make_batch(first + rank * share, share), first)
        values = torch.stack(list(losses.values())).double()
        if processes > 1:
            dist.all_reduce(values)
        rows.append(values / processes)
    return torch.stack(rows)


def run_process(rank, folder, settings, make_batch, networks, ready):
    os.environ.update(MASTER_ADDR="127.0.0.1", USE_LIBUV="0")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{ready}", rank=rank, world_size=2)
    from g2m_gan import stages

    tasks = list(stages(settings, 12, *networks))  # the second stage too starts from weights that are equal
    results = {}
    for index, task in enumerate(tasks):
        task.prepare(Gloo())
        results[f"losses{index}"] = train(task, make_batch, rank, 2, batch_size=settings.batch_size, steps=STEPS[index])
    if rank == 0:
        results |= {f"ema.{name}": value for name, value in tasks[-1].ema.state_dict().items()}
        from safetensors.torch import save_file

        save_file({name: value.contiguous() for name, value in results.items()}, Path(folder) / "two.safetensors")
    dist.destroy_process_group()


def test_two_processes_compute_what_one_would(micro, small_features, small_guide, batch_from, changed, tmp_path):
    from safetensors.torch import load_file

    from g2m_gan import stages

    settings = changed(
        micro, {"batch_size": 32, "micro_batch": 8, "guidance.statistics_weight": 1.0, "discriminator.pixel_cell": 4}
    )
    networks = (small_features, small_guide)
    torch.multiprocessing.start_processes(
        run_process,
        args=(str(tmp_path), settings, batch_from, networks, str(tmp_path / "ready")),
        nprocs=2,
        start_method="fork",
    )
    two = load_file(tmp_path / "two.safetensors")
    torch.set_num_threads(1)  # like each of the two: more threads sum in another order, and Adam amplifies rounding
    tasks = list(stages(settings, 12, *networks))
    for index, task in enumerate(tasks):
        one = train(task, batch_from, 0, 1, batch_size=settings.batch_size, steps=STEPS[index])
        torch.testing.assert_close(two[f"losses{index}"], one, atol=1e-5, rtol=0)
    for name, value in tasks[-1].ema.state_dict().items():
        torch.testing.assert_close(two[f"ema.{name}"], value, atol=1e-4, rtol=1e-4)
