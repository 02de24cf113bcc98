"""The errors that gilplan raises.

    GilplanError
    ├── InvalidValue (also a ValueError)   a field breaks a rule
    │   └── InvalidFile                    the same, inside a file: path and line are known
    ├── UnsupportedLayout                  a build cannot run the layout
    ├── MissingBuild                       no such CPython build on this machine or in the profile
    ├── ProfileError                       a calibration profile cannot be used
    ├── MeasurementFailed                  a real run crashed, hung or gave nothing to measure
    ├── StoreError                         a sweep's store cannot be opened, read or written
    └── ExecutorError                      no workers, or not the right ones, to run a sweep on

Every message is one line: the field, the value, the rule, and what to try.
"""


class GilplanError(Exception):
    """Base of everything that gilplan raises on purpose."""


class InvalidValue(GilplanError, ValueError):
    """A field's value breaks a rule: ``threads must be >= 1, got 0``."""

    def __init__(self, field: str, rule: str, value: object, hint: str = "") -> None:
        super().__init__(field, rule, value, hint)
        self.field, self.rule, self.value, self.hint = field, rule, value, hint

    def __str__(self) -> str:
        text = f"{self.field} must be {self.rule}, got {self.value!r}"
        return f"{text}; {self.hint}" if self.hint else text


class InvalidFile(InvalidValue):
    """A value in a file breaks a rule; the message starts with ``path:line``."""

    def __init__(
        self, path: str, line: int, field: str, rule: str, value: object, hint: str = ""
    ) -> None:
        GilplanError.__init__(self, path, line, field, rule, value, hint)
        self.path, self.line = path, line
        self.field, self.rule, self.value, self.hint = field, rule, value, hint

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {super().__str__()}"


class UnsupportedLayout(GilplanError):
    """A layout asks for what a CPython build cannot do."""


class MissingBuild(GilplanError):
    """A CPython build that was asked for is not there."""


class ProfileError(GilplanError):
    """A calibration profile is missing, damaged, from another machine or another format."""


class MeasurementFailed(GilplanError):
    """A real run crashed, hung, or left nothing to measure."""


class MachineBusy(MeasurementFailed):
    """Something else took the time that the measurement was to have: it may go well again."""


class StoreError(GilplanError):
    """The file that a sweep keeps its outcomes in cannot be opened, read or written."""


class ExecutorError(GilplanError):
    """The workers of a sweep do not answer, do not fit, or went away."""
