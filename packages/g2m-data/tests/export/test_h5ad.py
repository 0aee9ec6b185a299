import anndata as ad
import h5py
import numpy as np
import pytest

from g2m_data import View, open_dataset
from g2m_data.export import export_sample
from g2m_data.export.h5ad import _write_counts
from g2m_data.export.section import BLOCK, ExportedSection
from g2m_data.resample import overview


@pytest.fixture
def sc():
    return pytest.importorskip("scanpy")


@pytest.fixture(params=["hd", "spots"])
def sample(request):
    return request.param


@pytest.fixture
def adata(dataset, sample, tmp_path):
    export_sample(dataset, sample, tmp_path / "out.h5ad", to="h5ad")
    return ad.read_h5ad(tmp_path / "out.h5ad")


def test_counts_and_places_are_the_datasets(dataset, adata, sample):
    rows = np.flatnonzero(dataset.obs["sample"] == sample)
    assert sample == "spots" or len(rows) > 2 * BLOCK
    assert adata.X.has_canonical_format
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X.toarray(), dataset.counts(rows).toarray())
    np.testing.assert_array_equal(adata.X.sum(axis=1).A1, adata.obs["total_counts"])
    np.testing.assert_array_equal(adata.obsm["spatial"], dataset.obs.loc[adata.obs_names, ["x", "y"]])
    assert adata.obs_names.tolist() == [f"{sample}:{barcode}" for barcode in adata.obs["barcode"]]
    assert adata.var_names.tolist() == dataset.genes
    assert (adata.obs["in_tissue"] == 1).all()


def test_scanpy_normalises_it_to_the_datasets_expression(dataset, adata, sample, sc):
    sc.pp.normalize_total(adata, target_sum=adata.uns["g2m"]["library_size_target"])
    sc.pp.log1p(adata)
    rows = np.flatnonzero(dataset.obs["sample"] == sample)
    np.testing.assert_allclose(adata.X.toarray(), dataset.expression(rows), rtol=1e-5, atol=1e-6)


def test_thumbnail_lies_under_the_centres(dataset, adata, sample):
    (library,) = adata.uns["spatial"]
    assert library == sample
    scale = adata.uns["spatial"][sample]["scalefactors"]
    for name, longest in (("hires", 2000), ("lowres", 600)):
        image = adata.uns["spatial"][sample]["images"][name]
        np.testing.assert_array_equal(image, overview(dataset.slide(sample), longest))
        # as wide as the full-resolution slide is, times the factor
        full = np.array(dataset.slide(sample).shape[:2]) / dataset.manifest["samples"][sample]["slide"]["scale"]
        assert image.shape[:2] == pytest.approx(full * scale[f"tissue_{name}_scalef"], abs=1)
    mpp = dataset.manifest["samples"][sample]["mpp"]
    assert scale["spot_diameter_fullres"] == pytest.approx(55 / mpp)
    if sample == "hd":
        assert adata.uns["g2m"]["stride_px"] == pytest.approx(6 / mpp)
        assert adata.uns["g2m"]["windows"] == {"bin_um": 2.0, "window_bins": 9, "stride_bins": 3}


def test_clusters_and_draws_without_conversion(adata, sc):
    import matplotlib

    matplotlib.use("Agg")
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=5)
    sc.pp.neighbors(adata)
    assert adata.obsp["connectivities"].shape == (adata.n_obs, adata.n_obs)
    with np.errstate(all="ignore"):
        axes = sc.pl.spatial(adata, color=adata.var_names[3], show=False)
    assert axes[0].images  # the thumbnail
    matplotlib.pyplot.close("all")


def test_indices_are_of_one_kind_and_wide_where_there_may_be_many(dataset, tmp_path):
    export_sample(dataset, "hd", tmp_path / "few.h5ad", to="h5ad")
    dataset.obs["total_counts"] *= 2**31
    dataset.genes = [f"g{i}" for i in range(2**22)]  # never mind that these are not its genes
    with h5py.File(tmp_path / "many.h5ad", "w") as file:
        for _ in _write_counts(ExportedSection(dataset, "hd"), file):
            pass
        assert file["X/indptr"].dtype == file["X/indices"].dtype == np.int64
        with h5py.File(tmp_path / "few.h5ad") as few:
            assert few["X/indptr"].dtype == few["X/indices"].dtype == np.int32
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(file["X"][part], few["X"][part])


def test_backed_mode_reads_it(dataset, tmp_path):
    export_sample(dataset, "hd", tmp_path / "out.h5ad", to="h5ad")
    backed = ad.read_h5ad(tmp_path / "out.h5ad", backed="r")
    rows = np.flatnonzero(dataset.obs["sample"] == "hd")[300:303]
    np.testing.assert_array_equal(backed[300:303].to_memory().X.toarray(), dataset.counts(rows).toarray())


def test_another_view_is_exported_as_it_is_open(dataset, tmp_path):
    view = View(window_bins=5, stride_bins=10)
    other = open_dataset(dataset.path, samples=["hd"], view=view)
    export_sample(other, "hd", tmp_path / "out.h5ad", to="h5ad")
    adata = ad.read_h5ad(tmp_path / "out.h5ad")
    assert adata.n_obs == len(other) != (dataset.obs["sample"] == "hd").sum()
    assert adata.uns["g2m"]["windows"]["window_bins"] == 5
