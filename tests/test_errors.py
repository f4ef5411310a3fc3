import errno

import pytest
import torch
from safetensors.numpy import save_file

from unroll.errors import (
    WAYS_OUT,
    DataError,
    TrainingError,
    UserError,
    first_line,
    remedy,
    system_fault,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:hush@host/path", "https://***@host/path"),
        ("https://hush@host:5000", "https://***@host:5000"),
        ("https://:hush@host", "https://***@host"),
        ("postgresql://me:hu/sh@host/runs", "postgresql://***@host/runs"),
        ("postgresql://me:hu@sh@host/runs", "postgresql://***@host/runs"),
        ("http://me:hu#sh@host and more", "http://***@host and more"),
        ("http://me:[hu'sh@host/", "http://***@host/"),
        ("http://host/?a=1&api_token=hush&b=2", "http://host/?a=1&api_token=***&b=2"),
        ("'http://host/x?X-Amz-Signature=hush'", "'http://host/x?X-Amz-Signature=***'"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("https://hush@host/a/b@v1", "https://***@host/a/b@v1"),
        ("git+https://host/a/b@v1", "git+https://host/a/b@v1"),
        ("http://host:8080/a?x=1 me@host", "http://host:8080/a?x=1 me@host"),
        ("models:/addition@champion", "models:/addition@champion"),
    ],
)
def test_addresses_are_shown_without_secrets(text, shown):
    assert without_secrets(text) == shown


def test_the_first_line_of_a_message_without_passwords():
    error = ValueError("no answer from postgres://me:hush@host:5432/runs\nmore\n")
    assert first_line(error) == "no answer from postgres://***@host:5432/runs"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("x" * 1_000))) == 200


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "data/x"), "data/x; free some space"),
        (OSError(errno.EACCES, "Permission denied", "data/x"), "Permission denied: data/x; make"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system; work in"),
        (OSError(errno.ELOOP, "Too many links", "x"), "Too many links: x; see to it"),
        (MemoryError(), "not enough memory; lower batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), "not enough memory"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to"), "not enough memory"),
        (RuntimeError("CUDA error: an illegal access\nmore"), "the GPU failed (CUDA error: an ill"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_MAPPING_ERROR"), "the GPU failed (cuDNN error"),
    ],
)
def test_what_the_machine_refuses_is_explained(error, told):
    assert told in system_fault(error)


@pytest.mark.parametrize("number", WAYS_OUT, ids=errno.errorcode.get)
def test_each_refusal_with_a_way_out_is_told_with_it(number):
    told = system_fault(OSError(number, "refused", "data/x"))
    assert told.startswith(f"refused: data/x; {WAYS_OUT[number]}, and run the same command again")


def test_what_safetensors_is_refused_is_told_like_any_other_refusal(tmp_path):
    with pytest.raises(Exception, match="os error 2") as caught:
        save_file({}, tmp_path / "nowhere" / "x.safetensors")
    assert not isinstance(caught.value, OSError)
    assert system_fault(caught.value).startswith("No such file or directory; ")


def test_memory_that_pytorch_is_refused_is_explained():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert "lower batch_size" in system_fault(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        RuntimeError("x"),
        OSError("no number"),
        ValueError("out of memory"),
        ValueError("CUDA error"),
        ValueError("(os error 28)"),
    ],
    ids=repr,
)
def test_a_fault_of_the_program_is_not_explained_away(error):
    assert system_fault(error) is None


@pytest.mark.parametrize(("kind", "code"), [(UserError, 2), (DataError, 1), (TrainingError, 1)])
def test_wrong_words_end_a_command_with_two_and_all_else_with_one(kind, code):
    error = kind("x")
    assert isinstance(error, UserError)
    assert (error.exit_code, str(error)) == (code, "x")


def test_what_to_do_is_said_behind_what_is_wrong():
    with pytest.raises(DataError) as caught, remedy("run: dvc repro"):
        raise DataError("a.json is missing")
    assert str(caught.value) == "a.json is missing; run: dvc repro"
    assert caught.value.remedied
    assert caught.value.__suppress_context__  # nobody sees the same fault twice


def test_of_several_remedies_the_nearest_one_is_said():
    with pytest.raises(DataError) as caught, remedy("run: dvc repro"), remedy("delete it"):
        raise DataError("a.json is missing")
    assert str(caught.value) == "a.json is missing; delete it"


def test_an_error_that_says_what_to_do_is_left_as_it_is():
    error = DataError("a.txt is missing; put it there", remedied=True)
    with pytest.raises(DataError) as caught, remedy("run: dvc repro"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", [UserError("x"), TrainingError("x"), ValueError("x"), OSError()])
def test_errors_that_are_not_of_data_have_no_remedy(error):
    with pytest.raises(type(error)) as caught, remedy("run: dvc repro"):
        raise error
    assert caught.value is error


def test_an_error_of_data_of_a_kind_of_its_own_stays_of_that_kind():
    class GoneError(DataError):
        exit_code = 7

    with pytest.raises(GoneError, match=r"^x; run: dvc repro$") as caught, remedy("run: dvc repro"):
        raise GoneError("x")
    assert caught.value.exit_code == 7


def test_without_an_error_nothing_is_said(capsys):
    with remedy("run: dvc repro"):
        pass
    assert capsys.readouterr() == ("", "")
