"""Facts about the audit trail: what it keeps, and what it finds out."""

import resource

import pytest

from stream.errors import StorageError, UsageError
from stream.review.chain import TrailError, read_chain
from stream.review.records import Call, labels_of, last_undoable
from stream.review.trail import Change, Trail, trail_path

JOURNAL = "a" * 64
RED, BLUE = Call("labelled", "red"), Call("labelled", "blue")


def label(place, call):
    return Change(what="label", target=place, field="call", new=call)


@pytest.fixture
def path(tmp_path):
    """A trail of three records: frame 0:1 red, frame 0:2 blue, frame 0:1 blue."""
    path = trail_path(tmp_path, "anna")
    with Trail(path, JOURNAL) as trail:
        for place, call in (((0, 1), RED), ((0, 2), BLUE), ((0, 1), BLUE)):
            trail.add(label(place, call))
    return path


def test_labels_follow_from_the_file_alone(path):
    assert labels_of(read_chain(path).records).calls == {(0, 1): BLUE, (0, 2): BLUE}


def test_a_record_has_reader_order_old_and_new_value_and_the_digest_before(path):
    first, _, third = read_chain(path).records
    assert (third.number, third.reader, third.old, third.new) == (3, "anna", RED, BLUE)
    assert (first.previous, first.old) == ("0" * 64, None)
    assert third.wall.endswith("Z")


def test_going_on_continues_the_chain(path):
    with Trail(path, JOURNAL) as trail:
        trail.add(label((0, 3), RED))
    assert [record.number for record in read_chain(path).records] == [1, 2, 3, 4]


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_byte_is_found_and_its_record_named(path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"labelled"', b'"accepted"', 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(TrailError, match=f"record {line + 1} was changed"):
        Trail(path, JOURNAL)


def test_a_record_taken_out_of_the_middle_is_missed(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(TrailError, match="before record 3 is missing"):
        read_chain(path)


def test_records_cut_off_the_end_are_missed(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])
    with pytest.raises(TrailError, match="records 2 to 3 are missing"):
        read_chain(path)


def test_half_a_record_cut_off_the_end_is_missed(path):
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TrailError, match="records 3 to 3 are missing"):
        Trail(path, JOURNAL)


def test_a_trail_without_its_head_is_not_trusted(path):
    path.with_suffix(".head").unlink()
    with pytest.raises(TrailError, match="knows 0 of 3"):
        read_chain(path)


def test_a_record_that_a_crash_left_half_written_is_taken_away(path):
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"digest":"00')
    with Trail(path, JOURNAL) as trail:
        assert len(trail.records) == 3
    assert path.read_bytes() == whole


def test_a_record_that_was_synced_before_a_crash_counts(path):
    head = path.with_suffix(".head").read_bytes()
    with Trail(path, JOURNAL) as trail:
        trail.add(label((0, 9), RED))
    path.with_suffix(".head").write_bytes(head)
    with Trail(path, JOURNAL) as trail:
        assert trail.records[-1].target == (0, 9)
    assert read_chain(path).head.number == 4


def test_one_reader_cannot_open_a_trail_twice(path):
    with Trail(path, JOURNAL), pytest.raises(StorageError, match="has this session open already"):
        Trail(path, JOURNAL)


def test_a_trail_of_another_recording_is_refused(path):
    with pytest.raises(TrailError, match="another recording"):
        Trail(path, "b" * 64)


def test_a_trail_under_another_readers_name_is_refused(path):
    other = path.with_name("ben.jsonl")
    path.with_suffix(".head").rename(other.with_suffix(".head"))
    with pytest.raises(TrailError, match="record 1 is by 'anna'"):
        Trail(path.rename(other), JOURNAL)


@pytest.mark.parametrize("name", ["", "../ben", "a/b", ".hidden", "x" * 41, "a\n", "Zoë"])
def test_a_reader_whose_name_is_no_file_name_is_refused_c08(tmp_path, name):
    with pytest.raises(UsageError, match=r"\[C08\]"):
        trail_path(tmp_path, name)


def test_undo_takes_back_one_after_the_other_by_new_records(path):
    with Trail(path, JOURNAL) as trail:
        undone = []
        while (last := last_undoable(trail.records)) is not None:
            undone.append(last.number)
            trail.add(
                Change(
                    what="undo",
                    target=last.target,
                    field=last.field,
                    new=last.old,
                    undoes=last.number,
                )
            )
    assert undone == [3, 2, 1]
    assert [record.what for record in read_chain(path).records] == ["label"] * 3 + ["undo"] * 3
    assert set(labels_of(read_chain(path).records).calls) == set()


def test_a_full_disk_leaves_the_trail_as_it_was_f37(path):
    before = path.read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Trail(path, JOURNAL) as trail:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
        try:
            with pytest.raises(StorageError, match="cannot be written"):
                trail.add(label((0, 5), RED))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert path.read_bytes() == before
        trail.add(label((0, 6), RED))
    assert [record.target for record in read_chain(path).records][-1] == (0, 6)
