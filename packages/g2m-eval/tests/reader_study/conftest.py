"""A small study, simulated readers, and a server to stop and start."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from jaxtyping import install_import_hook

with install_import_hook("g2m_eval", "beartype.beartype"):
    import g2m_eval.reader_study.create
    import g2m_eval.reader_study.server
    import g2m_eval.report.reader_study  # noqa: F401

from g2m_eval.reader_study.create import Candidates, create_study
from g2m_eval.reader_study.layout import ANSWERS, open_study, read_key
from g2m_eval.reader_study.server import create_app, listen
from g2m_eval.reader_study.store import Answer, AnswerStore


def _candidates(count, pixels, seed):
    """Real (smooth, even pixels) and generated (noise): PNG as usual would tell them apart by length."""
    generator = np.random.default_rng(seed)
    smooth = np.broadcast_to(generator.integers(90, 220, (count, 1, 1, 3)), (count, pixels, pixels, 3)).astype(np.uint8)
    noisy = generator.integers(0, 255, (count, pixels // 2, pixels // 2, 3)).astype(np.uint8)
    groups = [f"group {place % 4}" for place in range(count)]
    spots = [f"s:{place}" for place in range(count)]
    real = Candidates(images=smooth, groups=groups, spots=spots)
    return real, Candidates(images=noisy, groups=groups, spots=spots)


@pytest.fixture
def candidates():
    return _candidates


@pytest.fixture
def make_study(tmp_path) -> Callable[..., Path]:
    """Function that creates a study of smooth real and noisy generated images."""

    def make(name="study", *, n_images=12, readers=3, pixels=16, seed=0, **more):
        real, generated = _candidates(4 * n_images, pixels, seed)
        return create_study(
            tmp_path / name, real=real, generated=generated, model="invented", n_images=n_images, readers=readers,
            seed=seed, **more,
        )  # fmt: skip

    return make


@pytest.fixture
def token():
    """Function that gives the private token of a study's n-th reader."""
    return lambda folder, number=0: list(open_study(folder).tokens)[number]


@pytest.fixture
def simulate_readers():
    """Function that lets every reader answer with equal-variance Gaussian evidence of a given d', unbiased."""

    def simulate(folder, *, d_prime, seed, most=None):
        study, key, store = open_study(folder), read_key(folder)["images"], AnswerStore(folder / ANSWERS)
        generator = np.random.default_rng(seed)
        images = sorted(study.images, key=lambda image: key[image]["spot"])  # names are new in every run
        for reader in study.orders:
            says = generator.normal([d_prime * (key[image]["truth"] == "generated") for image in images]) > d_prime / 2
            store.save(
                reader,
                [
                    Answer(id=f"{place:032x}", image=image, answer="generated" if yes else "real", given_at=place + 1)
                    for place, (image, yes) in enumerate(zip(images, says, strict=True))
                ][:most],
            )

    return simulate


class Server:
    """A real server in a thread, on one port through stops and starts."""

    def __init__(self, folder):
        self.folder, self.port = folder, 0

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        listening = listen("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(create_app(self.folder), log_level="warning", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not self.server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def serve():
    """Function that serves a study's folder until the test ends."""
    servers = []

    def begin(folder):
        servers.append(Server(folder))
        servers[-1].start()
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()
