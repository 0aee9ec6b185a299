"""A phantom's sections, written as people have them, give the dataset that Space Ranger's own folders give."""

import gzip
import json
import shutil

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from g2m_data import InputError, build_dataset, open_dataset
from g2m_data.simulate.section import simulate_section, slide_name

HD, SPOTS = "hd1", "visium2"
PREFIX = "Visium_HD_Mouse_Kidney_"
NUMBERS = {HD: 0, SPOTS: 2}
LAYOUTS = {HD: "hd", SPOTS: "spaceranger2"}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    (root / "truth").mkdir()
    for number in NUMBERS.values():
        simulate_section(root, "tiny", 4, number)
    return root


@pytest.fixture(scope="session")
def standard(phantom, tmp_path_factory):
    """The dataset of each section as it is."""
    out = tmp_path_factory.mktemp("standard")
    return {sample: build(phantom, out / sample, sample, phantom / "raw" / sample / "outs") for sample in NUMBERS}


def build(phantom, out, sample, spaceranger, **settings):
    manifest = out.parent / f"{out.name}.toml"
    entry = {
        "id": sample,
        "spaceranger": str(spaceranger),
        "image": str(phantom / "raw" / sample / slide_name(LAYOUTS[sample])),
        "split": "train",
        "platform": "visium-hd" if sample == HD else "visium",
        **settings,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    manifest.write_text(
        "\n".join(["[patch]", "pixels = 16", 'stain = "none"', "[study]", 'name = "v"', "[[sample]]", *lines])
    )
    build_dataset(manifest, out)
    return open_dataset(out)


def home(outs):
    binned = outs / "binned_outputs" / "square_002um"
    return binned if binned.is_dir() else outs


def read_matrix(path):
    with h5py.File(path) as file:
        group = file["matrix"]
        counts = sparse.csr_array(
            (group["data"][:], group["indices"][:], group["indptr"][:]), shape=group["shape"][:][::-1]
        )
        features = {key: group["features"][key].asstr()[:] for key in ("id", "name", "feature_type")}
        return counts, group["barcodes"].asstr()[:], features


def write_matrix(path, counts, barcodes, features):
    counts = sparse.csr_array(counts)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = counts.data, counts.indices, counts.indptr
        group["shape"] = np.array(counts.shape[::-1])
        group["barcodes"] = np.array(barcodes, dtype="S")
        for key, column in features.items():
            group.create_dataset(f"features/{key}", data=np.array(column, dtype="S"))


# ---- ways of having a folder: each changes a copy of `outs` and gives what the manifest names ------------------------


def prefix_names(outs):
    for path in [path for path in outs.rglob("*") if path.is_file()]:
        path.rename(path.with_name(PREFIX + path.name))
        path.with_name(f"._{PREFIX}{path.name}").write_bytes(b"\0\5\x16\7")  # what a Mac leaves in an archive
    return outs


def gzip_files(outs):
    for path in [path for path in outs.rglob("*") if path.suffix in (".h5", ".parquet", ".csv", ".json")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    return outs


def only_raw(outs):
    path = home(outs) / "filtered_feature_bc_matrix.h5"
    counts, barcodes, features = read_matrix(path)
    spatial = home(outs) / "spatial"
    tables = [pd.read_csv(file) for file in spatial.glob("*.csv")] or [
        pd.read_parquet(spatial / "tissue_positions.parquet")
    ]
    outside = sorted(set(tables[0]["barcode"]) - set(barcodes))
    assert len(outside) > 30
    noise = sparse.csr_array(np.random.default_rng(0).poisson(0.01, (len(outside), counts.shape[1])))
    order = np.random.default_rng(1).permutation(counts.shape[0] + len(outside))
    every = sparse.vstack([counts, noise]).tocsr()[order]
    write_matrix(path.with_name("raw_feature_bc_matrix.h5"), every, np.array([*barcodes, *outside])[order], features)
    path.unlink()
    return outs


def raw_beside_filtered(outs):
    filtered = home(outs) / "filtered_feature_bc_matrix.h5"
    content = filtered.read_bytes()
    only_raw(outs)
    filtered.write_bytes(content)
    return outs


def as_matrix_market(outs, *, packed=True, features_name="features.tsv"):
    path = home(outs) / "filtered_feature_bc_matrix.h5"
    counts, barcodes, features = read_matrix(path)
    folder = path.with_suffix("")
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", counts.T.tocoo(), comment="software: spaceranger", field="integer")
    columns = list(features.values())[: 3 if features_name == "features.tsv" else 2]
    (folder / features_name).write_text("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)))
    (folder / "barcodes.tsv").write_text("\n".join(barcodes) + "\n")
    if packed:
        for file in list(folder.iterdir()):
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
            file.unlink()
    path.unlink()
    return outs


def old_matrix_market(outs):
    return as_matrix_market(outs, packed=False, features_name="genes.tsv")


def positions_as(outs, name):
    spatial = home(outs) / "spatial"
    old = next(spatial.glob("tissue_positions*"))
    table = pd.read_parquet(old) if old.suffix == ".parquet" else pd.read_csv(old)
    old.unlink()
    if name.endswith(".parquet"):
        table.to_parquet(spatial / name, index=False)
    else:
        table.to_csv(spatial / name, index=False, header=not name.endswith("_list.csv"))
    return outs


def no_thumbnails(outs):
    for path in [*outs.rglob("*.png"), *outs.rglob("*.jpg")]:
        path.unlink()
    return outs


def space_ranger_4(outs):
    cells = outs / "segmented_outputs" / "spatial"
    cells.mkdir(parents=True)
    (cells.parent / "filtered_feature_cell_matrix.h5").write_bytes(b"cells")
    (cells / "scalefactors_json.json").write_text("{}")
    (outs / "spatial").mkdir()
    (outs / "barcode_mappings.parquet").write_bytes(b"PAR1")
    return outs


def by_probe(outs):
    path = home(outs) / "filtered_feature_bc_matrix.h5"
    counts, barcodes, features = read_matrix(path)
    rng = np.random.default_rng(2)
    part = counts.copy()
    part.data = rng.binomial(counts.data, 0.3)
    rest = counts.copy()
    rest.data = counts.data - part.data
    withdrawn = sparse.csr_array(np.full((counts.shape[0], 1), 3))
    ids = [
        f"{i}|{name}|{tag}" for tag in ("a1", "b2") for i, name in zip(features["id"], features["name"], strict=True)
    ]
    names = [*features["name"], *features["name"], "Actb"]
    order = np.concatenate([np.arange(2 * counts.shape[1]).reshape(2, -1).T.ravel(), [2 * counts.shape[1]]])
    probes = {
        "id": np.array([*ids, "DEPRECATED_ENSMUSG1|Actb|c3"])[order],
        "name": np.array(names)[order],
        "feature_type": ["Gene Expression"] * len(order),
    }
    every = sparse.hstack([part, rest, withdrawn]).tocsr()[:, order]
    write_matrix(path.with_name("raw_probe_bc_matrix.h5"), every, barcodes, probes)
    path.unlink()
    return outs


WAYS = {
    "prefixed names": (prefix_names, HD),
    "gzip'd files, bins": (gzip_files, HD),
    "gzip'd files, spots": (gzip_files, SPOTS),
    "raw matrix alone, bins": (only_raw, HD),
    "raw matrix alone, spots": (only_raw, SPOTS),
    "raw matrix beside the filtered one": (raw_beside_filtered, SPOTS),
    "matrix market, bins": (as_matrix_market, HD),
    "matrix market, spots": (as_matrix_market, SPOTS),
    "matrix market of old, not gzip'd": (old_matrix_market, SPOTS),
    "bins in CSV": (lambda outs: positions_as(outs, "tissue_positions.csv"), HD),
    "spots in CSV without a header": (lambda outs: positions_as(outs, "tissue_positions_list.csv"), SPOTS),
    "spots in parquet": (lambda outs: positions_as(outs, "tissue_positions.parquet"), SPOTS),
    "no thumbnails": (no_thumbnails, SPOTS),
    "Space Ranger 4": (space_ranger_4, HD),
    "the folder of bins itself": (home, HD),
    "the folder above outs": (lambda outs: outs.parent, HD),
    "probes": (by_probe, SPOTS),
}


def assert_same(dataset, expected, sample, notes=()):
    entry, wanted = (dict(d.manifest["samples"][sample]) for d in (dataset, expected))
    assert entry.pop("notes") == [*wanted.pop("notes"), *notes]
    assert entry.pop("lattice") == pytest.approx(
        wanted.pop("lattice")
    )  # a CSV's decimals are read to the last bit but one
    assert entry == wanted
    assert dataset.genes == expected.genes
    pd.testing.assert_frame_equal(dataset.obs, expected.obs)
    store = f"samples/{sample}/{'bins' if sample == HD else 'spots'}.zarr"
    stored, reference = (ad.read_zarr(d.path / store) for d in (dataset, expected))
    pd.testing.assert_frame_equal(stored.obs, reference.obs)
    assert (stored.X != reference.X).nnz == 0
    np.testing.assert_array_equal(dataset.patches([0, -1]), expected.patches([0, -1]))


@pytest.mark.parametrize("way", WAYS)
def test_dataset_does_not_depend_on_how_the_folder_was_kept(phantom, standard, tmp_path, way):
    change, sample = WAYS[way]
    outs = tmp_path / "raw" / "outs"
    shutil.copytree(phantom / "raw" / sample / "outs", outs)
    dataset = build(phantom, tmp_path / "dataset", sample, change(outs))
    said = ["raw_probe_bc_matrix.h5 lists probes: the counts of a gene are the sum of all its probes'"]
    assert_same(dataset, standard[sample], sample, said if way == "probes" else ())


def test_flat_folder_of_two_sections_needs_a_prefix_and_says_so(phantom, standard, tmp_path):
    flat = tmp_path / "GSE1"
    flat.mkdir()
    for prefix in ("GSM1_", "GSM2_"):
        for path in (phantom / "raw" / SPOTS / "outs").rglob("*"):
            if path.suffix in (".h5", ".csv", ".json"):
                shutil.copy(path, flat / f"{prefix}{path.name}")
    other = pd.read_csv(flat / "GSM1_tissue_positions.csv").assign(barcode="elsewhere")
    other.to_csv(flat / "GSM1_tissue_positions.csv", index=False)
    with pytest.raises(InputError, match=r'GSM1_.*GSM2_.*with prefix = "GSM1_"') as caught:
        build(phantom, tmp_path / "dataset", SPOTS, flat)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="begins with 'GSM3_'"):
        build(phantom, tmp_path / "dataset", SPOTS, flat, prefix="GSM3_")
    dataset = build(phantom, tmp_path / "dataset", SPOTS, flat, prefix="GSM2_")
    assert_same(dataset, standard[SPOTS], SPOTS)


def coarsen(outs, factor):
    """What Space Ranger makes of bins of 2 µm: sums of those inside, tissue where any of them is."""
    fine = outs / "binned_outputs" / "square_002um"
    coarse = fine.with_name(f"square_{2 * factor:03d}um")
    table = pd.read_parquet(fine / "spatial" / "tissue_positions.parquet")
    table["row"], table["col"] = table["array_row"] // factor, table["array_col"] // factor
    places = table.groupby(["row", "col"], as_index=False).agg(
        in_tissue=("in_tissue", "max"), y=("pxl_row_in_fullres", "mean"), x=("pxl_col_in_fullres", "mean")
    )
    places["barcode"] = [
        f"s_{2 * factor:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(places["row"], places["col"], strict=True)
    ]
    counts, barcodes, features = read_matrix(fine / "filtered_feature_bc_matrix.h5")
    of_bin = table.merge(places[["row", "col", "barcode"]], on=["row", "col"]).set_index("barcode_x")["barcode_y"]
    names, owner = np.unique(of_bin[barcodes], return_inverse=True)
    sums = sparse.csr_array((np.ones(len(owner), np.int64), (owner, np.arange(len(owner))))) @ counts
    (coarse / "spatial").mkdir(parents=True)
    write_matrix(coarse / "filtered_feature_bc_matrix.h5", sums, names, features)
    columns = ["barcode", "in_tissue", "row", "col", "y", "x"]
    renamed = dict(
        zip(columns[2:], ["array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"], strict=True)
    )
    places[columns].rename(columns=renamed).to_parquet(coarse / "spatial" / "tissue_positions.parquet", index=False)
    scale = json.loads((fine / "spatial" / "scalefactors_json.json").read_text())
    scale |= {"bin_size_um": 2.0 * factor, "spot_diameter_fullres": scale["spot_diameter_fullres"] * factor}
    (coarse / "spatial" / "scalefactors_json.json").write_text(json.dumps(scale))
    return coarse


@pytest.mark.parametrize(("factor", "window", "stride"), [(4, 7, 1), (8, 3, 1)])
def test_coarser_bins_rescale_the_windows_with_a_note(phantom, standard, tmp_path, factor, window, stride):
    outs = tmp_path / "outs"
    shutil.copytree(phantom / "raw" / HD / "outs", outs)
    table = pd.read_parquet(outs / "binned_outputs/square_002um/spatial/tissue_positions.parquet")
    fine = ad.read_zarr(standard[HD].path / "samples" / HD / "bins.zarr")
    coarsen(outs, factor)
    coarsen(outs, 2 * factor)  # of several, the finest
    if factor == 4:
        shutil.rmtree(outs / "binned_outputs" / "square_002um")
    else:  # copied without its largest file
        (outs / "binned_outputs" / "square_002um" / "filtered_feature_bc_matrix.h5").unlink()
    dataset = build(phantom, tmp_path / "dataset", HD, outs)

    entry, width = dataset.manifest["samples"][HD], window * 2 * factor
    assert (entry["bin_um"], entry["patch_um"]) == (2 * factor, 55)
    assert entry["mpp"] == standard[HD].manifest["samples"][HD]["mpp"]
    assert (
        f"windows are of {window} x {window} bins of {2 * factor} µm ({width} µm wide instead of 54)"
        in entry["notes"][0]
    )
    assert f"{stride * 2 * factor} µm apart instead of 10" in entry["notes"][0]
    assert 0.5 < len(dataset) / len(standard[HD]) * (stride * factor / 5) ** 2 < 1.5

    # the sum over the same square of 2 µm bins, by a loop
    grid = np.zeros((table["array_row"].max() + 1, table["array_col"].max() + 1), dtype=np.int64)
    grid[fine.obs["array_row"], fine.obs["array_col"]] = fine.obs["total_counts"]
    for row, col, total in dataset.obs[["array_row", "array_col", "total_counts"]].iloc[::7].itertuples(index=False):
        top, left = ((place - window // 2) * factor for place in (row, col))
        side = window * factor
        assert grid[top : top + side, left : left + side].sum() == total


def test_cells_alone_and_unpacked_archives_are_explained(phantom, tmp_path):
    outs = tmp_path / "outs"
    (outs / "segmented_outputs").mkdir(parents=True)
    with pytest.raises(InputError, match="only segmented_outputs, and cells are no bins"):
        build(phantom, tmp_path / "dataset", HD, outs)
    with pytest.raises(InputError, match="holds cells, not bins"):
        build(phantom, tmp_path / "dataset", HD, outs / "segmented_outputs")
    (outs / "Kidney_spatial.tar.gz").touch()
    with pytest.raises(InputError, match=r"unpack Kidney_spatial\.tar\.gz first"):
        build(phantom, tmp_path / "dataset", HD, outs)
