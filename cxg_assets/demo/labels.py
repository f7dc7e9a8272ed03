"""The vocabulary of the demo census: obs columns, ontology terms and how they pair up.

Labels and ids are facts of the ontologies that CELLxGENE's schema 7 pins (CL, UBERON, EFO, MONDO, PATO, HsapDv, MmusDv,
HANCESTRO); `tissue_general` follows the Census's rule, the organ that a tissue is part of.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """An ontology term as obs shows it: `<column>` holds the label, `<column>_ontology_term_id` the id."""

    label: str
    id: str


@dataclass(frozen=True)
class Tissue:
    """A tissue and the organ that the Census files it under (`tissue_general`)."""

    term: Term
    general: Term


LABELLED_COLUMNS = (
    "assay",
    "cell_type",
    "development_stage",
    "disease",
    "self_reported_ethnicity",
    "sex",
    "tissue",
    "tissue_general",
)
"""Columns that come as a pair: the label, and its id in `<column>_ontology_term_id`."""

PLAIN_TEXT_COLUMNS = ("dataset_id", "donor_id", "suspension_type", "tissue_type")
"""Text columns without an ontology."""

NORMAL = Term("normal", "PATO:0000461")
UNKNOWN = Term("unknown", "unknown")
NOT_APPLICABLE = Term("na", "na")

SEXES = (Term("female", "PATO:0000383"), Term("male", "PATO:0000384"))

ETHNICITIES = (
    Term("European American", "HANCESTRO:0590"),
    Term("East Asian", "HANCESTRO:0849"),
    Term("African American", "HANCESTRO:0568"),
    Term("South Asian", "HANCESTRO:0848"),
    UNKNOWN,
)

HUMAN_STAGES = (
    Term("23-year-old stage", "HsapDv:0000117"),
    Term("34-year-old stage", "HsapDv:0000128"),
    Term("45-year-old stage", "HsapDv:0000139"),
    Term("52-year-old stage", "HsapDv:0000146"),
    Term("58-year-old stage", "HsapDv:0000152"),
    Term("63-year-old stage", "HsapDv:0000157"),
    Term("71-year-old stage", "HsapDv:0000165"),
)
MOUSE_STAGES = (Term("8-week-old stage", "MmusDv:0000154"), Term("12-week-old stage", "MmusDv:0000158"))

CELL_TYPES = {
    label: Term(label, id)
    for label, id in (
        ("B cell", "CL:0000236"),
        ("CD4-positive, alpha-beta T cell", "CL:0000624"),
        ("CD8-positive, alpha-beta T cell", "CL:0000625"),
        ("T cell", "CL:0000084"),
        ("classical monocyte", "CL:0000860"),
        ("leukocyte", "CL:0000738"),
        ("macrophage", "CL:0000235"),
        ("monocyte", "CL:0000576"),
        ("natural killer cell", "CL:0000623"),
        ("non-classical monocyte", "CL:0000875"),
        ("platelet", "CL:0000233"),
    )
}
"""The labels that `scripts/distil_reference.py` gives the reference cells."""

TENX_3_V2 = Term("10x 3' v2", "EFO:0009899")
TENX_3_V3 = Term("10x 3' v3", "EFO:0009922")
TENX_5_V1 = Term("10x 5' v1", "EFO:0011025")
TENX_5_V2 = Term("10x 5' v2", "EFO:0009900")

COVID_19 = Term("COVID-19", "MONDO:0100096")
LUPUS = Term("systemic lupus erythematosus", "MONDO:0007915")
LUNG_ADENOCARCINOMA = Term("lung adenocarcinoma", "MONDO:0005061")
ALZHEIMER = Term("Alzheimer disease", "MONDO:0004975")
DEMENTIA = Term("dementia", "MONDO:0001627")
CARDIOMYOPATHY = Term("dilated cardiomyopathy", "MONDO:0005021")
CROHN = Term("Crohn disease", "MONDO:0005011")
DIABETES = Term("type 2 diabetes mellitus", "MONDO:0005148")
# Schema 6 and later join several diseases of one donor like this, in the order of the ids.
DIABETES_AND_KIDNEY_DISEASE = Term(
    "type 2 diabetes mellitus || chronic kidney disease", "MONDO:0005148 || MONDO:0005300"
)

_BLOOD = Term("blood", "UBERON:0000178")
_LUNG = Term("lung", "UBERON:0002048")
_BRAIN = Term("brain", "UBERON:0000955")
_HEART = Term("heart", "UBERON:0000948")
_KIDNEY = Term("kidney", "UBERON:0002113")
_INTESTINE = Term("intestine", "UBERON:0000160")
_SMALL_INTESTINE = Term("small intestine", "UBERON:0002108")
_COLON = Term("colon", "UBERON:0001155")
_PANCREAS = Term("pancreas", "UBERON:0001264")
_SPLEEN = Term("spleen", "UBERON:0002106")

BLOOD = Tissue(_BLOOD, _BLOOD)
VENOUS_BLOOD = Tissue(Term("venous blood", "UBERON:0013756"), _BLOOD)
LUNG = Tissue(_LUNG, _LUNG)
LUNG_PARENCHYMA = Tissue(Term("lung parenchyma", "UBERON:0008946"), _LUNG)
UPPER_LEFT_LOBE = Tissue(Term("upper lobe of left lung", "UBERON:0008952"), _LUNG)
PREFRONTAL_CORTEX = Tissue(Term("dorsolateral prefrontal cortex", "UBERON:0009834"), _BRAIN)
HIPPOCAMPUS = Tissue(Term("hippocampal formation", "UBERON:0002421"), _BRAIN)
LEFT_VENTRICLE = Tissue(Term("heart left ventricle", "UBERON:0002084"), _HEART)
RIGHT_ATRIUM = Tissue(Term("right cardiac atrium", "UBERON:0002078"), _HEART)
KIDNEY_CORTEX = Tissue(Term("cortex of kidney", "UBERON:0001225"), _KIDNEY)
RENAL_MEDULLA = Tissue(Term("renal medulla", "UBERON:0000362"), _KIDNEY)
INTESTINE = Tissue(_INTESTINE, _INTESTINE)
ILEUM = Tissue(Term("ileum", "UBERON:0002116"), _SMALL_INTESTINE)
COLON = Tissue(_COLON, _COLON)
ISLET = Tissue(Term("islet of Langerhans", "UBERON:0000006"), _PANCREAS)
PANCREAS_BODY = Tissue(Term("body of pancreas", "UBERON:0001150"), _PANCREAS)
SPLEEN = Tissue(_SPLEEN, _SPLEEN)
