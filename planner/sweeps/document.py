"""A sweep for machines: one JSON document, or the frame as a Parquet or CSV file."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gilplan.calibration.atomic_file import write_bytes, write_text
from gilplan.model.errors import InvalidValue

if TYPE_CHECKING:
    from gilplan.planner.sweeps.sweep import Sweep

SUFFIXES = (".parquet", ".csv")


def sweep_document(sweep: "Sweep") -> dict[str, Any]:
    """Return a JSON-ready document: points as the frame's rows, knees, crossings, left out.

    Base units: seconds, bytes, per second; what a point does not have is null.
    """
    frame = sweep.frame
    known = frame.astype(object).where(frame.notna(), None)
    return {
        "points": known.to_dict("records"),
        "knees": [asdict(knee) for knee in sweep.knees()],
        "crossings": [asdict(crossing) for crossing in sweep.crossings()],
        "left_out": [asdict(each) for each in sweep.left_out],
        "notes": list(sweep.notes),
        **{str(name): value for name, value in frame.attrs.items()},
    }


def check_suffix(path: Path) -> None:
    """Raise `InvalidValue` unless the file's name says which kind it is."""
    if path.suffix not in SUFFIXES:
        raise InvalidValue("-o", f"a file named *{' or *'.join(SUFFIXES)}", str(path))


def write_frame(sweep: "Sweep", path: Path) -> None:
    """Write the frame to a Parquet or a CSV file, whole or not at all."""
    check_suffix(path)
    if path.suffix == ".csv":
        write_text(path, sweep.frame.to_csv(index=False))
        return
    content = sweep.frame.to_parquet(index=False)
    assert content is not None
    write_bytes(path, content)
