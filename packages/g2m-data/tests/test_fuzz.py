"""Whatever is done to an input file, a build gives a valid dataset or one line that says what is wrong: never less."""

import gzip
import json
import select
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmwrite

LONGEST_S = 120.0
"""After which a case counts as endless; one takes a fifth of a second."""
HD = "raw/binned_outputs/square_002um"
FILES = {
    "bins": [
        f"{HD}/filtered_feature_bc_matrix.h5",
        f"{HD}/spatial/tissue_positions.parquet",
        f"{HD}/spatial/scalefactors_json.json",
        "raw/slide.btf",
    ],
    "folder": [
        *(f"raw/filtered_feature_bc_matrix/{name}" for name in ("matrix.mtx", "features.tsv", "barcodes.tsv")),
        "raw/spatial/tissue_positions.csv",
        "raw/slide.jpg",
        "genes.txt",
    ],
    "packed folder": [
        *(f"raw/filtered_feature_bc_matrix/{name}.gz" for name in ("matrix.mtx", "features.tsv", "barcodes.tsv")),
        "raw/spatial/tissue_positions_list.csv.gz",
        "raw/spatial/scalefactors_json.json.gz",
        "raw/slide.png",
    ],
    "packed bins": [
        f"{HD}/filtered_feature_bc_matrix.h5.gz",
        f"{HD}/spatial/tissue_positions.parquet.gz",
        "raw/slide.tif",
    ],
    "bins of no fixed length": [f"{HD}/filtered_feature_bc_matrix.h5"],
    "spots": ["raw/filtered_feature_bc_matrix.h5", "raw/spatial/tissue_positions_list.csv", "raw/slide.ome.tif"],
}
"""Studies of one section each, and their input files; every one has its manifest too."""
PLACES = [(study, file) for study, files in FILES.items() for file in (*files, "study.toml")]


class Worker:
    """A process that builds spoilt studies, started again when it died or was stuck."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.process = scratch, None

    def run(self, study, damages):
        if self.process is None:
            script = Path(__file__).with_name("fuzz_worker.py")
            command = [sys.executable, str(script), str(self.scratch)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps({"study": str(study), "damages": damages}) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], LONGEST_S)[0]:
            self.close()
            return {"outcome": "failed", "ways": [], "message": f"still busy after {LONGEST_S:.0f} s"}
        answer = self.process.stdout.readline()
        if not answer:
            code = self.process.wait()
            self.process = None
            return {"outcome": "failed", "ways": [], "message": f"the interpreter died, exit code {code}"}
        return json.loads(answer)

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("scratch"))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def studies(tmp_path_factory, make_hd, make_spots, make_study, stained_image):
    """A folder for each study in `FILES`."""
    root = tmp_path_factory.mktemp("studies")
    for study, files in FILES.items():
        section = make_hd(rows=38, cols=36, mpp=0.4) if "bins" in study else make_spots(mpp=2.0)
        height, width = section.slide.shape[:2]
        section.slide = np.tile(stained_image, (height // 160 + 1, width // 200 + 1, 1))[:height, :width].copy()
        (root / study).mkdir()
        maker = make_study(root / study)
        slide = next((Path(file).name for file in files if "slide" in file), "slide.tif")
        layout = "hd" if "bins" in study else "visium-1" if any("list" in file for file in files) else "visium-2"
        maker.add(section, "raw", layout=layout, image=slide)
        if "no fixed length" in study:
            _lengthen(root / study / files[0])
        if "folder" in study:
            _unfold(root / study / "raw" / "filtered_feature_bc_matrix.h5")
        if "genes.txt" in files:
            (root / study / "genes.txt").write_text("".join(f"{gene}\n" for gene in section.genes[::-1]))
        for file in files:
            if file.endswith(".gz"):
                plain = root / study / file.removesuffix(".gz")
                plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
                plain.unlink()
        maker.manifest(
            view="window_bins = 27\nstride_bins = 2",
            patch='pixels = 16\nstain = "macenko"',
            study='genes = "genes.txt"' if "genes.txt" in files else 'genes = "common"',
        )
    return root


def _lengthen(path):
    """Texts of any length where there are some of a fixed one."""
    with h5py.File(path, "a") as file:
        group = file["matrix"]
        for name in ("barcodes", "features/id", "features/name", "features/feature_type"):
            words = group[name][:].astype(object)
            del group[name]
            group.create_dataset(name, data=words, dtype=h5py.string_dtype())


def _unfold(path):
    """A 10x HDF5 file as a matrix market folder."""
    folder = path.with_suffix("")
    folder.mkdir()
    with h5py.File(path) as file:
        group = file["matrix"]
        counts = sparse.csc_array((group["data"][:], group["indices"][:], group["indptr"][:]), shape=group["shape"][:])
        mmwrite(folder / "matrix.mtx", counts, field="integer")
        columns = [group["features"][key].asstr()[:] for key in ("id", "name", "feature_type")]
        (folder / "features.tsv").write_text("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)))
        (folder / "barcodes.tsv").write_text("".join(f"{word}\n" for word in group["barcodes"].asstr()[:]))
    path.unlink()


fractions = st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=4, max_size=4)


@st.composite
def cases(draw):
    """A study and one or two damages: the file, the way, and where and what."""
    study, file = draw(st.sampled_from(PLACES))
    damages = [[file, draw(st.integers(0, 79)), draw(fractions)]]
    if draw(st.integers(0, 4)) == 4:
        other = draw(st.sampled_from([*FILES[study], "study.toml"]))
        damages.append([other, draw(st.integers(0, 79)), draw(fractions)])
    return study, damages


def check(worker, studies, case):
    study, damages = case
    answer = worker.run(studies / study, damages)
    assert answer["outcome"] != "failed", f"{answer['ways']}: {answer['message']}"
    return answer


def test_the_studies_are_sound(worker, studies):
    for study in FILES:
        answer = worker.run(studies / study, [])
        assert answer["outcome"] == "built", answer["message"]


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(case=cases())
def test_a_spoilt_file_is_built_or_refused_in_one_line(worker, studies, case):
    check(worker, studies, case)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_thousand_spoilt_files_are_built_or_refused_in_one_line(worker, studies, case):
    check(worker, studies, case)
