"""The images of a plain tar, such as a WebDataset shard, each with the label that stands beside it.

The bytes stay in the tar: each image is read later by its place, also from object storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gmixer.bulk.record import Record
from gmixer.datasets.label_values import label_text
from gmixer.datasets.shards import IMAGES, LABELS, MAX_LABEL_BYTES, label_value
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits
from gmixer.sources.archive import Place, places_in
from gmixer.sources.entry import MEMBER_MARK, Entry, read
from gmixer.sources.left_out import LeftOut
from gmixer.sources.local import FileSlice, LocalFile
from gmixer.sources.remote import RemoteFile, open_to_seek
from gmixer.sources.sniff import is_image

_BREAKS_OFF = ("timeout", "unreadable")  # the rest of the tar may be good: it is never taken for all of it
_MOST_MEMBERS = 1_000  # of a sample in memory; more with one name up to the first dot are no sample


def shard_images(tar: LocalFile | RemoteFile, left_out: LeftOut) -> Iterator[Record]:
    """The members that start like an image, and those that are called so, in the order of the tar.

    Members of a sample stand next to each other: their names are the same up to the first dot. An image takes the label
    of the member with its own name up to the last dot; else that of its sample. A damaged tar ends with an error.
    Raises InputError if the tar cannot be read to its end.
    """
    search = left_out.search(tar.key, "archive")
    version = None if (found := tar.version) is None else str(found)
    for sample in _samples(tar):
        members = [member for member in sample if isinstance(member, Place)]
        labels = {place.name.lower(): place for place in members if _ending(place) in LABELS}
        values: dict[str, str | None] = {}  # by the name of the member: several images may share a label
        has_image = any(map(_is_image, members))
        for member in sample:
            if isinstance(member, ImageError):
                search.found()
                yield Record(member.source, None, None, None, member)
            elif _is_image(member):
                search.found()
                label = _label_beside(member, labels)
                if label is not None and label.name not in values:
                    values[label.name] = _label_in(tar, label)
                entry = _part_of(tar, member)
                yield Record(entry.key, member.size, version, None if label is None else values[label.name], entry)
            elif not has_image or _ending(member) not in LABELS:
                search.leave_out(member, f"{tar.key}{MEMBER_MARK}{member.name}")
    if error := search.without_image():
        yield Record(tar.key, tar.size, version, None, error)


def _samples(tar: LocalFile | RemoteFile) -> Iterator[Sequence[Place | ImageError]]:
    """The members, sample by sample, and an error for each that must not be read."""
    stem, sample = "", list[Place | ImageError]()
    try:
        with open_to_seek(tar) as file:
            for place in places_in(file, tar.key):
                if isinstance(place, Place):
                    folder, slash, name = place.name.rpartition("/")
                    of_place = f"{folder}{slash}{name.partition('.')[0]}"
                    if sample and (of_place != stem or len(sample) >= _MOST_MEMBERS):
                        yield sample
                        sample = []
                    stem = of_place
                elif place.source == tar.key and place.kind in _BREAKS_OFF:
                    raise InputError(f"{place}; the listing of this tar is not complete: run the command again")
                sample.append(place)
    except ImageError as error:
        sample.append(error)
    if sample:
        yield sample


def _is_image(place: Place) -> bool:
    return _ending(place) not in LABELS and (is_image(place.head) or _ending(place) in IMAGES)


def _ending(place: Place) -> str:
    return place.name.rpartition("/")[2].rpartition(".")[2].lower()


def _label_beside(image: Place, labels: dict[str, Place]) -> Place | None:
    """labels: by their names in small letters."""
    name = image.name.lower()
    folder, slash, base = name.rpartition("/")
    stems = dict.fromkeys([name.rpartition(".")[0], f"{folder}{slash}{base.partition('.')[0]}"])
    return next((labels[at] for stem in stems for end in LABELS if (at := f"{stem}.{end}") in labels), None)


def _label_in(tar: LocalFile | RemoteFile, place: Place) -> str | None:
    """None for what is no label: a broken JSON, or one without the key label."""
    try:
        data = place.head
        if place.size > len(data):
            data = read(_part_of(tar, place), Limits(max_bytes=MAX_LABEL_BYTES))
        return label_text(label_value(_ending(place), data))
    except (ImageError, InputError, ValueError, RecursionError):  # json has no limit of its own for [[[[…
        return None


def _part_of(tar: LocalFile | RemoteFile, place: Place) -> Entry:
    key = f"{tar.key}{MEMBER_MARK}{place.name}"
    if isinstance(tar, RemoteFile):
        return replace(tar, key=key, offset=place.offset, size=place.size, named=False)
    return FileSlice(key, tar.key, offset=place.offset, size=place.size)
