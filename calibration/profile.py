"""The calibration profile: what was measured of a machine and its builds, in one file."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gilplan.calibration.atomic_file import write_text
from gilplan.calibration.builds import match_build
from gilplan.calibration.model_error import ModelError
from gilplan.model.errors import MissingBuild, ProfileError
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime

if TYPE_CHECKING:  # measuring needs SciPy, using what was measured does not
    from gilplan.calibration.calibrate import Calibration

FORMAT_VERSION = 8
CALIBRATE = "run `gilplan calibrate`"


def gilplan_version() -> str:
    """Return the installed version, "unknown" when run from a bare checkout."""
    try:
        return version("gilplan")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One calibration, with its raw samples and what it ran on.

    ``fingerprint`` describes the environment; ``samples`` are the raw measurements;
    ``steal_share`` is the share of time that the host took away meanwhile; ``created_at`` is in
    ISO 8601, UTC, and so is ``refreshed_at``, when hand-offs were last measured anew, "" if never;
    ``partial`` says that it was interrupted. ``model_error`` is what the last validation on this
    machine found, None before the first.
    """

    machine: Machine
    runtimes: tuple[Runtime, ...]
    fingerprint: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    steal_share: float = 0.0
    quick: bool = False
    partial: bool = False
    model_error: ModelError | None = None
    refreshed_at: str = ""
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat("T", "seconds"))
    gilplan_version: str = field(default_factory=gilplan_version)
    format_version: int = FORMAT_VERSION

    @property
    def identity(self) -> str:
        """A short hash of all that predictions depend on."""
        measured = (self.created_at, self.machine, self.runtimes)
        return hashlib.sha256(repr(measured).encode()).hexdigest()[:12]

    @classmethod
    def of(cls, calibration: "Calibration", *, quick: bool) -> "Profile":
        """Return the profile that keeps a calibration."""
        return cls(
            machine=calibration.machine,
            runtimes=calibration.runtimes,
            # As JSON gives them back, so that a profile that was read equals the one written.
            fingerprint=json.loads(json.dumps(asdict(calibration.fingerprint))),
            notes=calibration.notes,
            samples=calibration.samples,
            steal_share=calibration.steal_share,
            quick=quick,
            partial=calibration.partial,
        )

    def runtime(self, build: str) -> Runtime:
        """Return the runtime of a build: its name, or a series ("3.13", "3.13t").

        Raises `MissingBuild`, which lists the builds in the profile.
        """
        runtimes = {runtime.build: runtime for runtime in self.runtimes}
        try:
            return runtimes[match_build(build, runtimes, where="in the profile")]
        except MissingBuild as error:
            raise MissingBuild(f"{error}; {CALIBRATE} to measure all that are found") from None


def default_path() -> Path:
    """Return where `calibrate` leaves the profile and `predict` looks for it, per user."""
    from platformdirs import user_data_path

    return user_data_path("gilplan") / "profile.json"


def save(profile: Profile, path: Path) -> None:
    """Write the profile to ``path``, whole or not at all. Raises `GilplanError`."""
    write_text(path, json.dumps(asdict(profile), indent=1) + "\n")


def load(path: Path, *, machine_identity: str | None = None) -> Profile:
    """Read the profile at ``path``.

    ``machine_identity`` is what it must have been measured on; None takes any machine's.
    Raises `ProfileError` when it is absent, damaged, of another format or another machine.
    """
    document = _document(path)
    found = document.get("format_version")
    if found != FORMAT_VERSION:
        raise ProfileError(
            f"{path}: format_version must be {FORMAT_VERSION}, got {found!r}; {CALIBRATE} again"
        )
    profile = _validated(document, path)
    if machine_identity is not None and profile.machine.identity != machine_identity:
        raise ProfileError(
            f"{path}: machine must be this one, {machine_identity!r}, got "
            f"{profile.machine.identity!r}; {CALIBRATE} here, or pass --allow-foreign"
        )
    return profile


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProfileError(f"{path}: no profile there; {CALIBRATE} first") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ProfileError(f"{path}: profile cannot be read: {reason}") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not JSON"
        raise ProfileError(
            f"{path}: profile is truncated or not JSON ({reason}); {CALIBRATE} again"
        ) from None
    if not isinstance(document, dict):
        raise ProfileError(f"{path}: profile must be a JSON object; {CALIBRATE} again")
    return document


def _validated(document: dict[str, Any], path: Path) -> Profile:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Profile).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "the profile"
        reason = first["msg"].removeprefix("Value error, ")
        raise ProfileError(f"{path}: {field}: {reason}; {CALIBRATE} again") from None
