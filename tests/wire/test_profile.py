"""Profiles and configs: what may be written, and that every mistake is named at once."""

from pathlib import Path

import pytest
from davylamp_wire.config import ConfigError, Section, load, parse, secret_from
from davylamp_wire.point import COMM_OK, LimitKind, Point, comm_ok_point
from davylamp_wire.profile import load_profile, load_profiles
from pydantic import SecretStr

TANK = """
zh = "储罐"
en = "tank"
[points.level]
zh = "液位"
en = "level"
unit = "m"
range = [0, 12]
[points.level.limits.H]
value = 10
action = { zh = "停止进料", en = "Stop filling" }
source = { standard = "GB 17681", clause = "5.2", basis = "memory" }
"""


def written(folder: Path, text: str, name: str = "tank") -> Path:
    path = folder / "storage" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_profile(written(folder, text))
    return raised.value.mistakes


def test_a_profile_is_named_by_its_file_and_folder(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, TANK))
    assert (profile.family, profile.name, profile.version) == ("storage", "tank", 1)
    assert profile.points["level"].silence_s == 60


def test_every_mistake_is_named_in_one_message(tmp_path: Path) -> None:
    broken = TANK.replace('unit = "m"', 'unit = "m"\ncolour = "red"').replace('en = "tank"', "version = 0")
    found = "\n".join(mistakes(tmp_path, broken))
    for part in ("tank.toml", "points.level.colour: is not a known key", "version:", "en: is missing"):
        assert part in found


def test_s30_a_limit_without_a_source_cannot_be_written(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, TANK[: TANK.index("source")])
    assert "points.level.limits.H.source: is missing" in line


def test_s30_a_source_is_unverified_until_somebody_verified_it(tmp_path: Path) -> None:
    limits = load_profile(written(tmp_path, TANK)).points["level"].limits
    assert [limit.source.verified for limit in limits.values()] == [False]


def test_s24_a_profiles_limit_without_a_first_action_is_refused_with_its_key(tmp_path: Path) -> None:
    mute = "".join(line for line in TANK.splitlines(keepends=True) if not line.startswith("action"))
    (line,) = mistakes(tmp_path, mute)
    assert line.endswith('points.level.limits.H.action: is missing; write the first thing to do, {zh = "…", en = "…"}')
    assert str(tmp_path / "storage" / "tank.toml") in line


def test_s24_a_first_action_in_one_language_only_is_refused(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, TANK.replace(', en = "Stop filling"', ""))
    assert "points.level.limits.H.action.en: is missing" in line


def test_s24_a_limit_says_what_its_handling_lacks(tmp_path: Path) -> None:
    limit = load_profile(written(tmp_path, TANK)).points["level"].limits[LimitKind.H]
    assert limit.unsaid == ("cause", "consequence", "respond_s")
    assert limit.model_copy(update={"respond_s": 60.0}).unsaid == ("cause", "consequence")


GROUPED = (
    TANK.replace("[points.level]", "[points.other]\nzh = '另'\nen = 'other'\nunit = 'm'\n[points.level]")
    + """
[groups.high]
zh = "液位组"
en = "levels"
members = ["level", "level", "nowhere", "other"]
limit = "H"
need = 1
blind_at = 5
source = { standard = "s", basis = "proposal" }
[groups.level]
zh = "液位组"
en = "levels"
members = ["level"]
limit = "H"
source = { standard = "s", basis = "proposal" }
"""
)


def test_s18_every_mistake_in_a_group_of_detectors_is_named(tmp_path: Path) -> None:
    found = "\n".join(mistakes(tmp_path, GROUPED))
    for part in (
        "groups.high.members: one is named twice",
        "groups.high.members: there is no point 'nowhere'",
        "groups.high.limit: point 'other' has no limit H",
        "groups.high.need: one detector alarms alone already; a vote takes at least 2",
        "groups.high.blind_at: 5 is more than its 4 members",
        "groups.level: is the name of a point too",
        "groups.level: neither votes nor goes blind",
    ):
        assert part in found


def test_s30_a_group_without_a_source_cannot_be_written(tmp_path: Path) -> None:
    text = TANK + "[groups.high]\nzh = '组'\nen = 'g'\nmembers = ['level']\nlimit = 'H'\nblind_at = 1\n"
    (line,) = mistakes(tmp_path, text)
    assert "groups.high.source: is missing" in line


@pytest.mark.parametrize("respond_s", [0, -1, "nan"])
def test_a_time_to_respond_is_a_time(tmp_path: Path, respond_s: object) -> None:
    (line,) = mistakes(tmp_path, TANK.replace("value = 10", f"value = 10\nrespond_s = {respond_s}"))
    assert "points.level.limits.H.respond_s" in line


@pytest.mark.parametrize("kind", ["gas", "fire"])
def test_s08_a_deadband_is_refused_on_gas_and_fire(tmp_path: Path, kind: str) -> None:
    (line,) = mistakes(tmp_path, TANK.replace('unit = "m"', f'unit = "m"\nkind = "{kind}"\ndeadband = 0.1'))
    assert f"deadband is refused on {kind} points" in line


def test_s08_a_gas_point_rests_ten_seconds_at_most(tmp_path: Path) -> None:
    assert Point(zh="a", en="a", unit="", kind="gas").silence_s == 10
    (line,) = mistakes(tmp_path, TANK.replace('unit = "m"', 'unit = "m"\nkind = "gas"\nmax_silence_s = 60'))
    assert "max_silence_s may not exceed 10" in line


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("value = 10", "value = 13", "13 lies outside the range 0..12"),
        ("value = 10", "value = nan", "finite number"),
        ("range = [0, 12]", "range = [12, 0]", "put the lower end first"),
        ('unit = "m"\nrange = [0, 12]', 'unit = "m"\nloop = {}', "loop needs range"),
        ('unit = "m"', 'unit = "m"\ntype = "string"', "limits need a number"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert reason in "\n".join(mistakes(tmp_path, TANK.replace(old, new)))


@pytest.mark.parametrize(
    ("loop", "reason"),
    [
        (
            "{zero_ma = 4, span_ma = 4}",
            "points.level.loop: zero_ma and span_ma are both 4; a range lies between the two",
        ),
        (
            '{bands = [{from_ma = 22, to_ma = 20.5, level = "uncertain", reason = "OVER_RANGE"}]}',
            "points.level.loop.bands.0: 22..20.5 mA holds no current; put the lower end first",
        ),
    ],
)
def test_s09_a_loop_that_can_map_no_current_is_refused(tmp_path: Path, loop: str, reason: str) -> None:
    """A band with its ends exchanged was never met, and a loop without a span ended the edge that read it again."""
    (line,) = mistakes(tmp_path, TANK.replace('unit = "m"', f'unit = "m"\nloop = {loop}'))
    assert reason in line


def test_limits_out_of_order_are_refused(tmp_path: Path) -> None:
    low = TANK[TANK.index("[points.level.limits.H]") :].replace("limits.H", "limits.L").replace("10", "11")
    assert "limits.L: 11 lies above limits.H (10)" in "\n".join(mistakes(tmp_path, TANK + low))


def test_all_broken_profiles_are_named_and_a_sites_own_replaces_ours(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, name in ((ours, "储罐"), (theirs, "球罐")):
        folder.mkdir()
        written(folder, TANK.replace("储罐", name))
    assert load_profiles(ours, theirs)["tank"].zh == "球罐"
    written(ours, "zh = 1", "one")
    written(ours, "not toml at all", "two")
    with pytest.raises(ConfigError, match=r"(?s)one\.toml.*two\.toml"):
        load_profiles(ours, theirs)


def test_two_profiles_of_one_name_in_one_folder_are_a_mistake(tmp_path: Path) -> None:
    first = written(tmp_path, TANK)
    second = tmp_path / "vessels" / "tank.toml"
    second.parent.mkdir()
    second.write_text(TANK, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{second}: tank is {first} already"):
        load_profiles(tmp_path)


def test_every_device_has_a_point_that_says_whether_it_answers() -> None:
    assert COMM_OK == "comm_ok"
    assert (comm_ok_point().kind, comm_ok_point().journal_class) == ("status", "event")


class Broker(Section):
    """A config of two keys."""

    host: str
    password: str = ""


@pytest.mark.parametrize(("text", "reason"), [("host = ", "is not TOML"), (None, "cannot be read")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "edge.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"edge\.toml: {reason}"):
        load(Broker, path)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_bytes(b'host = "\xff"')
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 8"):
        load(Broker, path)


def test_a_message_shows_what_was_given_but_never_a_secret() -> None:
    with pytest.raises(ConfigError) as raised:
        parse(Broker, {"host": 5, "password": 12345}, "edge.toml")
    assert "(got 5)" in str(raised.value)
    assert "12345" not in str(raised.value)


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "word").write_text("open sesame\n")
    monkeypatch.setenv("DAVYLAMP_WORD", "open")
    assert secret_from(tmp_path / "word", None, "the word") == SecretStr("open sesame")
    assert secret_from(None, "DAVYLAMP_WORD", "the word") == SecretStr("open")
    assert secret_from(None, None, "the word") is None
    assert "open" not in str(secret_from(None, "DAVYLAMP_WORD", "the word"))


def test_a_secret_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the word cannot be read"):
        secret_from(tmp_path / "none", None, "the word")
    with pytest.raises(ConfigError, match="DAVYLAMP_NO_WORD is not set"):
        secret_from(None, "DAVYLAMP_NO_WORD", "the word")


def test_a_state_that_no_value_is_written_as_is_a_mistake(tmp_path: Path) -> None:
    text = TANK.replace(
        'unit = "m"', 'unit = "m"\nstates = {"01" = {zh = "开", en = "open"}, "2" = {zh = "关", en = "shut"}}'
    )
    (line,) = mistakes(tmp_path, text)
    assert line.endswith("points.level.states.01: no value reads so; write a number as it is shown, 1 or -2")
