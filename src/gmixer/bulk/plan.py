"""The listing and the finished parts → the parts to make.

Until the first update, part i holds the entries from i × part_size on of the listing. Each entry is
handed on as it is listed. After an update, changes.py compares entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest

from gmixer.bulk.changes import WAY_OUT, changed_parts
from gmixer.bulk.fingerprint import Facts, facts_of, fingerprint
from gmixer.bulk.output import OutputFolder
from gmixer.bulk.part import Part, slices
from gmixer.bulk.record import Record
from gmixer.errors import InputError

FACTS = ("path", "bytes", "version", "label")  # the columns of a part that hold the facts of its entries


def parts_to_make(
    records: Iterable[Record],
    output: OutputFolder,
    *,
    update: bool = False,
    share: tuple[int, int] = (1, 1),
    on_damage: Callable[[int, str], None] = lambda number, why: None,
) -> Iterator[Part]:
    """The parts that are missing, damaged or, for an update, changed. Use up the records of each before you ask for the
    next.

    records: the listing, in its order.
    update: make the parts again that hold changed or removed entries; new entries come in new parts.
    share: (i, n): only the parts of the i-th of n processes. This process looks at no others.
    on_damage: gets the number of a part whose file is not what its record states, and why. The part is made again.

    Raises InputError, which names the first difference, if the listing has changed and `update` is False. Raises
    InputError for an update that several processes share.
    """
    if update and share != (1, 1):
        raise InputError("an update cannot be shared by several processes; wanted --update without --part")
    if output.is_sliced and not (update and output.numbers()):
        yield from _slices(records, output, share, on_damage)
    else:
        yield from changed_parts(records, output, update=update, share=share, on_damage=on_damage)


def _slices(
    records: Iterable[Record], output: OutputFolder, share: tuple[int, int], on_damage: Callable[[int, str], None]
) -> Iterator[Part]:
    size = output.stamp.part_size
    assert size is not None  # a folder has parts
    turn, processes = share
    number = -1
    for number, entries in enumerate(slices(records, size)):
        if number % processes != turn - 1:
            continue
        done = output.finished(number)
        if done and (why := output.damage(number)):
            on_damage(number, why)
            done = None
        if done is None:
            yield Part.of(number, entries)
            continue
        found = [facts_of(record) for record in entries]
        if done.fingerprint != fingerprint(found):
            raise _changed(number, found, output)
    if beyond := [old for old in output.numbers() if old > number and old % processes == turn - 1]:
        raise InputError(
            f"{output.place} has part {beyond[0]}, but the sources list fewer images than before; wanted the same "
            f"list: {WAY_OUT}"
        )


def _changed(number: int, found: list[Facts], output: OutputFolder) -> InputError:
    """Names the first entry that is not as it was."""
    columns = output.read(number, FACTS).to_pydict()
    before = [Facts(*facts) for facts in zip(*(columns[name] for name in FACTS), strict=True)]
    what = "the order of its images has changed"
    for old, new in zip_longest(before, found):
        if old == new or (old and new and new.size is None and old._replace(size=None) == new):
            continue  # a size that the source does not state is stored as read
        if new is None or (old is not None and old.key != new.key and old.key not in {facts.key for facts in found}):
            what = f"{old.key} is no longer listed"
        elif old is None or old.key != new.key:
            what = f"{new.key} is new"
        else:
            what = f"{new.key} has changed"
        break
    return InputError(f"the sources have changed since part {number} of {output.place} was made: {what}; {WAY_OUT}")
