"""One of several processes that train together: rank, world size and a folder to meet and to leave the losses in."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import toy
from torch.nn.parallel import DistributedDataParallel

from g2m_encoders.config import settings_from_dict


class DataParallelAccelerator(toy.PlainAccelerator):
    def prepare(self, model, optimizer):
        return DistributedDataParallel(model), optimizer


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting-{world}", rank=rank, world_size=world)
    accelerator = toy.PlainAccelerator() if world == 1 else DataParallelAccelerator()
    cases = [settings_from_dict(case) for case in json.loads((folder / "cases.json").read_text())]
    losses = [toy.train_in_shares(settings, accelerator, rank, world) for settings in cases]
    (folder / f"{rank}-of-{world}.json").write_text(json.dumps(losses))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
