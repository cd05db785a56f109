"""Comprehensive SR: verdict, key frames with their scores, and the algorithm behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes

from stream.report.content import KeyFrame, ReportContent
from stream.report.dicom.common import (
    MAKER,
    UNNAMED,
    UTF_8,
    Series,
    date_equipment,
    derive_uid,
    fill_common,
    name_instance,
)
from stream.report.dicom.evidence import Shown, unique_images
from stream.report.dicom.key_objects import observer
from stream.report.dicom.origin import Origin

SERIES = Series("SR", 9003, "Sonostream results")
SCHEME = "99SONOSTREAM"

_MAX_MEANING_CHARS = 64
_PARAMETERS = (
    *("Model", "Model SHA-256", "Engine", "Engine made from SHA-256", "Threshold", "Temperature"),
    *("Saliency", "Settings", "Versions"),
)


def build_report(content: ReportContent, origin: Origin, shown: Sequence[Shown]) -> Any:
    """Return the structured report of a session.

    Parameters
    ----------
    shown : where each key frame is seen, at least one

    References
    ----------
    DICOM PS3.3 section A.35.3 (Comprehensive SR), PS3.16 templates TID 1500 (Measurement Report),
    TID 1501 (Measurement Group), TID 4019 (Algorithm Identification).
    """
    groups = [_clip_group(content, origin, shown)]
    for number, key in enumerate(content.key_frames):
        place = shown[number] if number < len(shown) else None
        groups.append(_frame_group(content, origin, key, place))
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer(origin)),
        procedure_reported=codes.cid100.ImagingProcedure,
        imaging_measurements=groups,
    )
    report[0].ContentSequence.append(_comments(content))
    document = ComprehensiveSR(
        evidence=unique_images(shown),
        content=report[0],
        series_instance_uid=SERIES.uid(origin),
        series_number=SERIES.number,
        sop_instance_uid=UNNAMED,
        instance_number=1,
        is_complete=not content.partial,
        is_final=False,
        is_verified=False,
        specific_character_set=UTF_8,
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, f"Words of {MAKER}", "1")],
    )
    fill_common(document, origin, SERIES, 1)
    date_equipment(document, origin)
    name_instance(document, origin)
    return document


def _clip_group(content: ReportContent, origin: Origin, shown: Sequence[Shown]) -> Any:
    ledger = content.ledger
    positive = f"Threshold on the probability of {content.positive_class}"
    numbers = [
        _number("Share of valid frames behind the verdict", 100 * content.verdict_share, "%"),
        _number(positive, content.threshold, "1"),
        _number("Frames grabbed", ledger.get("grabbed", 0), "{frames}"),
        _number("Frames analysed", ledger.get("analysed", 0), "{frames}"),
    ]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(origin, "Clip"),
        finding_type=_concept("Clip"),
        algorithm_id=_algorithm(content, origin),
        measurements=numbers,
        qualitative_evaluations=[_choice("Verdict of the clip", content.verdict_label)],
        source_images=[_source(Shown(image, None)) for image in unique_images(shown)],
    )


def _frame_group(content: ReportContent, origin: Origin, key: KeyFrame, shown: Shown | None) -> Any:
    probable = content.classes[int(key.probs.argmax())]
    numbers = [
        _number(f"Probability of {name}", value, "1")
        for name, value in zip(content.classes, key.probs, strict=True)
    ]
    numbers.append(_number("Ranking score", key.score, "1"))
    numbers.append(_number("Rank, 1 is best", key.rank, "1"))
    numbers.append(_number("Frame of the clip, counted from 0", key.seq, "1"))
    if key.time_s is not None:
        numbers.append(_number("Time in the clip", key.time_s, "s"))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(origin, f"Frame {key.seq}"),
        finding_type=_concept("Key frame"),
        algorithm_id=_algorithm(content, origin),
        measurements=numbers,
        qualitative_evaluations=[_choice("Most probable class", probable)],
        source_images=[_source(shown)] if shown else None,
    )


def _algorithm(content: ReportContent, origin: Origin) -> Any:
    facts = content.provenance
    parameters = [f"{key}: {facts[key]}" for key in _PARAMETERS if key in facts]
    if content.engine_warning:
        parameters.append(content.engine_warning)
    return AlgorithmIdentification(MAKER, origin.version, parameters)


def _comments(content: ReportContent) -> Any:
    """Return what is said in words, the warning first."""
    lines = [content.disclaimer, content.verdict_text]
    if content.partial:
        lines.append("PARTIAL: frames of the input are missing or damaged.")
    if content.engine_warning:
        lines.append(content.engine_warning)
    if "Privacy" in content.provenance:
        lines.append(content.provenance["Privacy"])
    box = ContainerContentItem(
        name=CodedConcept("C0034375", "UMLS", "Qualitative Evaluations"),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    box.ContentSequence = ContentSequence(
        [
            TextContentItem(
                name=CodedConcept("121106", "DCM", "Comment"),
                value=line,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
            for line in lines
        ]
    )
    return box


def _concept(words: str) -> Any:
    """Return a code of our own scheme for some words: the same words, the same code."""
    value = "S" + hashlib.sha256(words.encode()).hexdigest()[:12].upper()
    meaning = "".join(char if char.isprintable() else "?" for char in words)
    return CodedConcept(value, SCHEME, meaning[:_MAX_MEANING_CHARS])


def _number(name: str, value: float, unit: str) -> Any:
    meaning = {"1": "no units", "%": "percent", "s": "second", "{frames}": "frames"}[unit]
    return Measurement(_concept(name), round(float(value), 6), CodedConcept(unit, "UCUM", meaning))


def _choice(name: str, value: str) -> Any:
    return QualitativeEvaluation(_concept(name), _concept(value))


def _tracking(origin: Origin, name: str) -> Any:
    return TrackingIdentifier(derive_uid("track", origin.session, name), name)


def _source(shown: Shown) -> Any:
    frames = None if shown.frame is None else [shown.frame]
    image = shown.image
    return SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID, frames)
