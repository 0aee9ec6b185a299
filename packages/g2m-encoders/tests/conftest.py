import importlib.util
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("g2m_encoders", "beartype.beartype")  # shapes in signatures are checked in tests only


def _load_toy():
    """Tests are imported without their folder on the path, so that packages' test modules may share names."""
    spec = importlib.util.spec_from_file_location("g2m_encoders_toy", Path(__file__).with_name("toy.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only lose time to threads, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy():
    return _load_toy()


@pytest.fixture
def pairs(toy):
    return toy.ToyPairs(96, toy.GENES)


@pytest.fixture
def settings(toy):
    return toy.small_settings()
