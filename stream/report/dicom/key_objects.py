"""Key Object Selection: which frames matter, in order of rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import (
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom.sr.codedict import codes

from stream.report.content import ReportContent
from stream.report.dicom.common import (
    MAKER,
    NOT_FOR_DIAGNOSIS,
    UNNAMED,
    UTF_8,
    Series,
    date_equipment,
    derive_uid,
    fill_common,
    name_instance,
)
from stream.report.dicom.evidence import Shown, unique_images
from stream.report.dicom.origin import Origin

SERIES = Series("KO", 9002, "Sonostream key frames")


def observer(origin: Origin) -> Any:
    """Return who observed: this software, no person."""
    device = DeviceObserverIdentifyingAttributes(
        uid=derive_uid("device", MAKER, origin.version),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=f"{MAKER} {origin.version}",
    )
    return ObserverContext(codes.DCM.Device, device)


def build_key_objects(content: ReportContent, origin: Origin, shown: Sequence[Shown]) -> Any:
    """Return the selection of the key frames.

    Parameters
    ----------
    shown : where each key frame is seen, at least one

    References
    ----------
    DICOM PS3.3 section A.35.4, PS3.16 template TID 2010 and CID 7010 (113009, For Research).
    """
    images = unique_images(shown)
    selection = KeyObjectSelection(
        document_title=codes.DCM.ForResearch,
        referenced_objects=images,
        observer_device_context=observer(origin),
        description=f"{NOT_FOR_DIAGNOSIS} Key frames of the clip, best first, chosen by {MAKER}"
        f" with the model {content.provenance.get('Model', 'of the session')}.",
    )
    items = selection[0].ContentSequence
    kept = [item for item in items if item.ValueType != "IMAGE"]
    kept += [_image_item(one) for one in shown]  # highdicom's own items name no frame
    del items[:]
    items.extend(kept)
    document = KeyObjectSelectionDocument(
        evidence=images,
        content=selection,
        series_instance_uid=SERIES.uid(origin),
        series_number=SERIES.number,
        sop_instance_uid=UNNAMED,
        instance_number=1,
        specific_character_set=UTF_8,
    )
    fill_common(document, origin, SERIES, 1)
    date_equipment(document, origin)
    name_instance(document, origin)
    return document


def _image_item(shown: Shown) -> Any:
    return ImageContentItem(
        name=CodedConcept("260753009", "SCT", "Source"),
        referenced_sop_class_uid=shown.image.SOPClassUID,
        referenced_sop_instance_uid=shown.image.SOPInstanceUID,
        referenced_frame_numbers=shown.frame,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
