"""What `g2m run` asks of genes, once the generators have drawn: attribution, enrichment, perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2m_cli.artefacts import Artefacts
from g2m_cli.console import say
from g2m_cli.errors import InputError
from g2m_cli.files import write_json
from g2m_cli.processes import rank
from g2m_cli.study import Study, folder_id, left_out_file
from g2m_cli.study_settings import GAN, StudySettings

if TYPE_CHECKING:
    from g2m_cli.interpretation.clusters import FoundClusters
    from g2m_eval.space.evaluate import SpaceEvaluation


class InterpretationStages:
    """The stages, each made unless it is there.

    Parameters
    ----------
    study, settings
        Where artefacts lie and what they are to be.
    artefacts
        Makes them.
    """

    def __init__(self, study: Study, settings: StudySettings, artefacts: Artefacts) -> None:
        self.study, self.settings, self.artefacts = study, settings, artefacts
        self.space: SpaceEvaluation | None = None
        """The embedding space, once clusters had to be found in it."""
        self.left_out: dict[str, str] = {}
        """Stages that this study cannot have, and why: hours of training are not lost over them."""
        if rank() == 0:
            left_out_file(study).unlink(missing_ok=True)

    def check_gene_sets(self) -> None:
        """Refuse gene sets that do not meet the panel, before hours are spent.

        Raises
        ------
        InputError
            Says what would match.
        """
        from g2m_data import open_dataset
        from g2m_data.gene_sets import gene_sets_of
        from g2m_interpret import InputError as NoMatch
        from g2m_interpret import match_gene_sets, read_gmt

        path = gene_sets_of(self.study.dataset)
        if path is None:
            return
        own = self.settings.interpretation.model.enrichment
        panel = open_dataset(self.study.dataset, split="test").genes
        sets = read_gmt(path)
        try:
            match_gene_sets(sets, panel, case=own.case, max_size=len(panel))
        except NoMatch as error:
            raise InputError(f"{path.name}: {error}; here, --set interpret.enrichment.case=exact or =upper") from None

    def attribute(self) -> None:
        """Ask which genes tell clusters apart: each section's own, true regions, or joint ones, as the settings say."""
        from g2m_cli.interpretation.attribution import (
            NothingToCompareError,
            attribution_folder,
            attribution_record,
            write_attribution,
        )
        from g2m_cli.interpretation.clusters import REGION, kind_of_clusters

        study, settings = self.study, self.settings.interpretation
        kind = kind_of_clusters(study, settings.model.clusters)
        found = None if kind == REGION else self.found_id()
        try:
            self.artefacts.once(
                "attribution",
                attribution_folder(study),
                attribution_record(study, settings, kind, found)["id"],
                folder_id,
                lambda: write_attribution(
                    study, settings, clusters=kind, found=None if kind == REGION else self.find_clusters()
                ),
            )
        except NothingToCompareError as error:
            self._leave_out("attribution", str(error))

    def enrich(self) -> None:
        """Ask which gene sets those are, if the study names any."""
        from g2m_cli.interpretation.attribution import attribution_folder
        from g2m_cli.interpretation.enrichment import enrichment_folder, enrichment_record, write_enrichment
        from g2m_data.gene_sets import gene_sets_of
        from g2m_interpret import InputError as NoSet

        study, settings, gene_sets = self.study, self.settings.interpretation, gene_sets_of(self.study.dataset)
        if gene_sets is None:
            say("enrichment: left out, for the manifest names no gene sets")
            return
        if "attribution" in self.left_out:
            self._leave_out("enrichment", "for there is no attribution")
            return
        try:
            self.artefacts.once(
                "enrichment",
                enrichment_folder(study),
                enrichment_record(attribution_folder(study), settings, gene_sets)["id"],
                folder_id,
                lambda: write_enrichment(study, settings),
            )
        except NoSet as error:
            self._leave_out("enrichment", str(error))

    def perturb(self) -> None:
        """Redraw tissue from edited expression: a phantom's factors driven, of a real study a cluster's genes gone."""
        from g2m_cli.interpretation.clusters import REGION, kind_of_clusters
        from g2m_cli.interpretation.factors_report import factors_folder, factors_record, write_factors
        from g2m_cli.interpretation.knockout import knockout_folder, knockout_request
        from g2m_cli.interpretation.perturbation import perturbation_record, write_perturbation
        from g2m_cli.interpretation.perturbation_request import spoken

        study, settings = self.study, self.settings.interpretation
        if GAN not in self.settings.generators:
            say("perturbation: left out, for there is no StyleGAN-G; `g2m interpret perturb --model` draws with others")
            return
        if kind_of_clusters(study, None) == REGION:
            record = factors_record(study, settings, GAN)
            self.artefacts.once(
                "perturbation",
                factors_folder(study),
                record["id"],
                folder_id,
                lambda: write_factors(study, settings, model=GAN),
            )
            return
        if "attribution" in self.left_out:
            self._leave_out("perturbation", "for there is no attribution that names a cluster's genes")
            return
        request = knockout_request(study, model=GAN, limit=settings.model.perturbation.spots)
        if not request.genes:
            self._leave_out("perturbation", f"for no gene tells {spoken(request.where)} from the next largest cluster")
            return
        folder, found = knockout_folder(study), self.found_id()
        self.artefacts.once(
            "perturbation",
            folder,
            perturbation_record(study, settings, request, found)["id"],
            folder_id,
            lambda: write_perturbation(study, settings, request, found=self.find_clusters(), out=folder),
        )

    def _leave_out(self, stage: str, why: str) -> None:
        self.left_out[stage] = why
        say(f"{stage}: left out, {why}")
        left_out_file(self.study).parent.mkdir(parents=True, exist_ok=True)
        write_json(left_out_file(self.study), self.left_out)

    def find_clusters(self) -> FoundClusters:
        """Find the clusters of the embeddings, once for attribution and report."""
        from g2m_cli.evaluation.space import embedding_space
        from g2m_cli.interpretation.clusters import FoundClusters
        from g2m_data import open_dataset

        if self.space is None:
            settings, test = self.settings.evaluation, open_dataset(self.study.dataset, split="test")
            self.space = embedding_space(self.study, test, settings.model.space, seed=settings.seed)
        return FoundClusters(id=self.found_id(), obs=self.space.adata.obs)

    def found_id(self) -> str:
        """Give the id of those clusters, which are not needed for it."""
        from g2m_cli.evaluation.space import clusters_id

        return clusters_id(self.study, self.settings.evaluation)
