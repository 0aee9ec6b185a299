import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from g2m_encoders.config import settings_to_dict

SCRIPT = Path(__file__).with_name("run_toy_training.py")
BACKBONES = ["test_resnet", "test_convnext"]  # with and without batch norm


def test_two_processes_compute_the_losses_of_one(settings, tmp_path):
    cases = [
        dataclasses.replace(settings, image=dataclasses.replace(settings.image, backbone=name)) for name in BACKBONES
    ]
    (tmp_path / "cases.json").write_text(json.dumps([settings_to_dict(case) for case in cases]))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), str(world), str(tmp_path)], env=environment)
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    assert [process.wait(timeout=300) for process in running] == [0, 0, 0]
    alone = np.array(json.loads((tmp_path / "0-of-1.json").read_text()))
    for rank in (0, 1):
        together = np.array(json.loads((tmp_path / f"{rank}-of-2.json").read_text()))
        assert np.abs(together - alone)[:, :-1].max() < 1e-9
        assert np.allclose(together[:, -1], alone[:, -1], rtol=1e-6)
    assert (alone[:, -2] < alone[:, 0]).all()  # they trained
