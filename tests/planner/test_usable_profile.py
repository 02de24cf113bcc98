"""A profile is for the machine and the kernel that it was measured on."""

from dataclasses import replace

import pytest

from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.profile import save
from gilplan.model.errors import ProfileError
from gilplan.planner.commands.profiles import usable_profile


def test_a_profile_older_than_the_kernel_that_runs_is_refused_by_name(profile, tmp_path):
    path = tmp_path / "profile.json"
    here = take_fingerprint()
    older = {"kernel_release": "2.6.32", "cpu_model": here.cpu_model}
    save(replace(profile, fingerprint=older), path)
    with pytest.raises(
        ProfileError, match=r"kernel must be the one that is running, .* got 2.6.32"
    ):
        usable_profile(path, allow_foreign=False)
    assert usable_profile(path, allow_foreign=True).fingerprint == older


def test_a_profile_of_another_machine_is_refused_by_its_identity(profile, tmp_path):
    path = tmp_path / "profile.json"
    save(profile, path)
    with pytest.raises(ProfileError, match="machine must be this one"):
        usable_profile(path, allow_foreign=False)
    here = take_fingerprint().identity
    own = replace(profile, machine=replace(profile.machine, identity=here))
    save(own, path)
    assert usable_profile(path, allow_foreign=False) == own
