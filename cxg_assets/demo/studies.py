"""The invented studies that the demo census is made of.

No such study exists: collections and titles say "demo", DOIs use 10.5555, the prefix that is reserved for tests, and
ids start with `de300000`. What is real in a demo cell is its counts (see `reference`), not where it is said to be from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cxg_assets.demo import labels as t


@dataclass(frozen=True, kw_only=True)
class Study:
    """One dataset of the demo census: its labels, and what its cells are drawn from.

    Attributes:
        title: Dataset title.
        collection: Name of the collection; studies may share one.
        share: Share of the organism's cells; the shares of an organism sum to 1.
        assays: Donor k is measured with assay k modulo their number.
        tissues: Each cell is from one of them, at random.
        diseases: Donor k has disease k modulo their number, so every disease is present at any size.
        suspension_type: `cell` or `nucleus`.
        cell_mix: Cell type label -> weight.
        lncrna_share: Share of the rarer lncRNAs that the study's gene reference knows. Below 1, the study lacks genes
            that others measure, which is what the presence matrix records.
        repeats: Titles of studies whose cells this one holds again, with `is_primary_data` False. Such a study has no
            cells of its own and takes its labels from the first copies.
    """

    title: str
    collection: str
    share: float
    assays: tuple[t.Term, ...] = ()
    tissues: tuple[t.Tissue, ...] = ()
    diseases: tuple[t.Term, ...] = (t.NORMAL,)
    suspension_type: str = "cell"
    cell_mix: Mapping[str, float]
    lncrna_share: float = 1.0
    repeats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Organism:
    """An organism of the census: how it is named, and its studies in joinid order."""

    name: str
    label: str
    ontology_term_id: str
    studies: tuple[Study, ...]
    stages: tuple[t.Term, ...]
    ethnicities: tuple[t.Term, ...]


# Weights are near what blood shows, with more monocytes: most of the reference cells are.
BLOOD_MIX = {
    "CD4-positive, alpha-beta T cell": 16,
    "CD8-positive, alpha-beta T cell": 9,
    "T cell": 4,
    "natural killer cell": 11,
    "B cell": 12,
    "classical monocyte": 30,
    "non-classical monocyte": 6,
    "monocyte": 6,
    "platelet": 2,
    "leukocyte": 4,
}
TISSUE_MIX = {
    "CD4-positive, alpha-beta T cell": 12,
    "CD8-positive, alpha-beta T cell": 12,
    "natural killer cell": 10,
    "B cell": 10,
    "classical monocyte": 18,
    "monocyte": 12,
    "macrophage": 14,
    "leukocyte": 12,
}

_BLOOD_COLLECTION = "Demo collection: immune cells of blood"
_ORGAN_COLLECTION = "Demo collection: immune cells of organs"
_ATLAS_COLLECTION = "Demo collection: an atlas of atlases"
_MOUSE_COLLECTION = "Demo collection: mouse"

HEALTHY_BLOOD = "Demo: blood of healthy donors"
LUNG = "Demo: lung"

HUMAN = Organism(
    name="homo_sapiens",
    label="Homo sapiens",
    ontology_term_id="NCBITaxon:9606",
    stages=t.HUMAN_STAGES,
    ethnicities=t.ETHNICITIES,
    studies=(
        Study(
            title=HEALTHY_BLOOD,
            collection=_BLOOD_COLLECTION,
            share=0.24,
            assays=(t.TENX_3_V3,),
            tissues=(t.BLOOD,),
            cell_mix=BLOOD_MIX,
        ),
        Study(
            title=LUNG,
            collection=_ORGAN_COLLECTION,
            share=0.09,
            assays=(t.TENX_3_V3, t.TENX_3_V2),
            tissues=(t.LUNG, t.LUNG_PARENCHYMA, t.UPPER_LEFT_LOBE),
            diseases=(t.NORMAL, t.LUNG_ADENOCARCINOMA),
            cell_mix=TISSUE_MIX,
            lncrna_share=0.6,
        ),
        Study(
            title="Demo: blood in COVID-19",
            collection=_BLOOD_COLLECTION,
            share=0.18,
            assays=(t.TENX_5_V1, t.TENX_5_V2),
            tissues=(t.BLOOD, t.VENOUS_BLOOD),
            diseases=(t.NORMAL, t.COVID_19),
            cell_mix=BLOOD_MIX,
            lncrna_share=0.5,
        ),
        Study(
            title="Demo: brain, nuclei",
            collection=_ORGAN_COLLECTION,
            share=0.08,
            assays=(t.TENX_3_V3,),
            tissues=(t.PREFRONTAL_CORTEX, t.HIPPOCAMPUS),
            diseases=(t.NORMAL, t.DEMENTIA, t.ALZHEIMER),
            suspension_type="nucleus",
            cell_mix=TISSUE_MIX,
        ),
        Study(
            title="Demo: blood in lupus",
            collection=_BLOOD_COLLECTION,
            share=0.10,
            assays=(t.TENX_3_V2,),
            tissues=(t.BLOOD,),
            diseases=(t.NORMAL, t.LUPUS),
            cell_mix=BLOOD_MIX,
            lncrna_share=0.3,
        ),
        Study(
            title="Demo: heart, nuclei",
            collection=_ORGAN_COLLECTION,
            share=0.06,
            assays=(t.TENX_3_V3,),
            tissues=(t.LEFT_VENTRICLE, t.RIGHT_ATRIUM),
            diseases=(t.NORMAL, t.CARDIOMYOPATHY),
            suspension_type="nucleus",
            cell_mix=TISSUE_MIX,
            lncrna_share=0.8,
        ),
        Study(
            title="Demo: kidney",
            collection=_ORGAN_COLLECTION,
            share=0.06,
            assays=(t.TENX_3_V3,),
            tissues=(t.KIDNEY_CORTEX, t.RENAL_MEDULLA),
            diseases=(t.NORMAL, t.DIABETES_AND_KIDNEY_DISEASE),
            cell_mix=TISSUE_MIX,
            lncrna_share=0.7,
        ),
        Study(
            title="Demo: intestine",
            collection=_ORGAN_COLLECTION,
            share=0.06,
            assays=(t.TENX_3_V2, t.TENX_5_V1),
            tissues=(t.INTESTINE, t.ILEUM, t.COLON),
            diseases=(t.NORMAL, t.CROHN),
            cell_mix=TISSUE_MIX,
            lncrna_share=0.4,
        ),
        Study(
            title="Demo: pancreas",
            collection=_ORGAN_COLLECTION,
            share=0.03,
            assays=(t.TENX_3_V3,),
            tissues=(t.ISLET, t.PANCREAS_BODY),
            diseases=(t.NORMAL, t.DIABETES),
            cell_mix=TISSUE_MIX,
        ),
        Study(
            title="Demo: spleen",
            collection=_ORGAN_COLLECTION,
            share=0.02,
            assays=(t.TENX_3_V2,),
            tissues=(t.SPLEEN,),
            cell_mix=TISSUE_MIX,
            lncrna_share=0.9,
        ),
        Study(
            title="Demo: atlas of blood and lung (copies)",
            collection=_ATLAS_COLLECTION,
            share=0.08,
            cell_mix={},
            repeats=(HEALTHY_BLOOD, LUNG),
        ),
    ),
)

MOUSE = Organism(
    name="mus_musculus",
    label="Mus musculus",
    ontology_term_id="NCBITaxon:10090",
    stages=t.MOUSE_STAGES,
    ethnicities=(t.NOT_APPLICABLE,),
    studies=(
        Study(
            title="Demo: mouse blood",
            collection=_MOUSE_COLLECTION,
            share=0.6,
            assays=(t.TENX_3_V3,),
            tissues=(t.BLOOD,),
            cell_mix=BLOOD_MIX,
        ),
        Study(
            title="Demo: mouse spleen",
            collection=_MOUSE_COLLECTION,
            share=0.4,
            assays=(t.TENX_3_V2,),
            tissues=(t.SPLEEN,),
            cell_mix=TISSUE_MIX,
            lncrna_share=0.5,
        ),
    ),
)
