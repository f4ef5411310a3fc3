"""Damage to texts, bytes, JSON and folders, as drawn from a source of chance.

Much of it gets past the digests: a folder is sealed anew after it was damaged.
"""

import json
import shutil
import struct
from pathlib import Path
from random import Random
from typing import Any

from unroll.storage.folders import MANIFEST, sha256

PIECES = [
    "null", "true", "-1", "0", "1e400", ".nan", ".inf", "[]", "{}", "''", "&a [*a]", "*b", "? x",
    "- ", "\t", "\x00", "\u202e", "9" * 400, "9" * 5_000, "!!binary aGk=", "2001-01-01",
    "2001-99-99", "0x1F", "1_000", "~", "<<: 1", "|", "%YAML 9", "---", "...", "a: b: c", "'", '"',
    "{", "[", ": ", "#", "@", "`", "1:30", "1e-3", '"\\ud800"', "[" * 1_500, '{"a":' * 1_500, ",",
    "\r", "\n", "\ufeff", "\u2028", "NaN", "Infinity", "<eos>", "<unk>", "_", " ", "+", "é", "𝔘",
    "!!python/object/apply:os.getcwd []", "١",
]  # fmt: skip

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 10**6, 10**9, 2**31, 2**63, 10**400, 0.5, 1e-320, 1e308,
    float("nan"), float("inf"), "", " ", "a", "0", "\x00", "\ud800", "x" * 300, "é" * 200, "..",
    "/", "../..", [], [1], [[]], {}, {"a": 1},
]  # fmt: skip

DTYPES = ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8",
          "BOOL", "C64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "Q4", ""]  # fmt: skip


def text(whole: str, random: Random) -> str:
    """Return a text with a few places cut, doubled or filled with something else."""
    for _ in range(random.choice([1, 1, 1, 2, 3, 8])):
        place, lines = random.randrange(len(whole) + 1), whole.split("\n")
        one, other = (random.randrange(len(lines)) for _ in range(2))
        match random.randrange(7):
            case 0:
                whole = whole[:place] + whole[place + random.choice([1, 1, 2, 5, 40]) :]
            case 1:
                whole = whole[:place] + random.choice(PIECES) + whole[place:]
            case 2:
                copied = random.randrange(len(whole) + 1)
                piece = whole[copied : copied + random.choice([1, 3, 10, 60])]
                whole = whole[:place] + piece + whole[place:]
            case 3:  # another value of a key
                key, colon, _ = lines[one].partition(":")
                if colon:
                    lines[one] = f"{key}: {random.choice(PIECES)}"
                whole = "\n".join(lines)
            case 4:
                symbol = chr(random.choice([0, 9, 10, 13, 32, 44, 45, 58, 91, 123, 0x85, 0xFEFF,
                                            random.randrange(32, 127)]))  # fmt: skip
                whole = whole[:place] + symbol + whole[place + 1 :]
            case 5:  # lines in another order
                lines[one], lines[other] = lines[other], lines[one]
                whole = "\n".join(lines)
            case 6:
                del lines[one]
                whole = "\n".join(lines)
    return whole


def content(whole: bytes, random: Random) -> bytes:
    """Return bytes with a few places cut, flipped or filled with something else."""
    changed = bytearray(whole)
    for _ in range(random.choice([1, 1, 2, 5])):
        place = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                del changed[place : place + random.choice([1, 2, 8, 100, 10**6])]
            case 1 if place < len(changed):
                changed[place] ^= 1 << random.randrange(8)
            case 2:
                changed[place:place] = random.randbytes(random.choice([1, 4, 30]))
            case _:
                copied = random.randrange(len(changed) + 1)
                changed[place:place] = changed[copied : copied + random.choice([1, 8, 50])]
    return bytes(changed)


def value(whole: Any, random: Random) -> Any:
    """Return what JSON holds with one value changed, one key renamed, doubled or lost."""
    if not isinstance(whole, dict | list) or not whole or random.random() < 0.1:
        return random.choice(VALUES)
    if isinstance(whole, list):
        place, changed = random.randrange(len(whole)), list(whole)
        if random.random() < 0.3:
            changed[place : place + 1] = random.choice([[], [whole[place]] * 2])
        else:
            changed[place] = value(whole[place], random)
        return changed
    key = random.choice(list(whole))
    rest = {k: v for k, v in whole.items() if k != key}
    match random.randrange(6):
        case 0:
            return rest
        case 1:
            return {**rest, random.choice(["", "a", "\x00", f"{key}s", "__metadata__"]): whole[key]}
        case _:
            return {**whole, key: value(whole[key], random)}


def arrays(whole: bytes, random: Random) -> bytes:
    """Return a safetensors file whose header is damaged, but has the length that it states."""
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    if entries and random.random() < 0.6:
        entry = random.choice(entries)
        if random.random() < 0.6:
            entry["dtype"] = random.choice(DTYPES)
        else:
            entry["shape"] = random.choice(
                [entry["shape"][::-1], [1, *entry["shape"]], entry["shape"][1:], [0], [2**40] * 3]
            )
    else:
        header = value(header, random)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + whole[8 + length :]


def file(path: Path, random: Random) -> str:
    """Damage a file in the way of its format, or in any way; return what was done to it."""
    whole = path.read_bytes()
    if path.suffix == ".safetensors" and random.random() < 0.6:
        changed = arrays(whole, random)
    elif path.suffix == ".json" and random.random() < 0.5:
        changed = json.dumps(value(json.loads(whole), random)).encode()
    elif path.suffix in (".json", ".csv") and random.random() < 0.7:
        changed = text(whole.decode(), random).encode()
    else:
        changed = content(whole, random)
    path.write_bytes(changed)
    return f"{path.name}: {changed[:3_000]!r}"


def seal(folder: Path) -> None:
    """Write the manifest anew, as if the files were meant to be as they are."""
    files = [f for f in folder.rglob("*") if f.is_file() and f.name != MANIFEST]
    entries = {
        f.relative_to(folder).as_posix(): {"bytes": f.stat().st_size, "sha256": sha256(f)}
        for f in files
    }
    (folder / MANIFEST).write_text(json.dumps(entries))


def folder(whole: Path, target: Path, random: Random) -> str:
    """Copy a folder to `target` with damage to one or two of its files; return what was done."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(whole, target)
    chosen = [random.choice(sorted(target.iterdir())) for _ in range(random.choice([1, 1, 1, 2]))]
    done = []
    for path in dict.fromkeys(chosen):
        if random.random() < 0.03:
            path.unlink()
            done.append(f"{path.name} removed")
        else:
            done.append(file(path, random))
    if MANIFEST not in {path.name for path in chosen} and random.random() < 0.9:
        seal(target)
    return "; ".join(done)
