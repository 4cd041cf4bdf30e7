"""The cloud's config: defaults that work, all mistakes in one message, and an example that is not out of date."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from davylamp_cloud.config import CloudConfig, Role, SiteConfig, clock_of, load_config
from davylamp_wire.config import ConfigError

EXAMPLE = Path(__file__).parents[2] / "cloud" / "example.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "cloud.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_config(written(folder, text))
    return refused.value.mistakes


def test_the_example_is_a_config_with_the_defaults() -> None:
    config = load_config(EXAMPLE)
    plain = CloudConfig(data_dir=EXAMPLE.parent / "var/cloud", sites=config.sites)
    assert config == plain


def test_the_example_with_everything_uncommented_names_only_known_keys(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    keys = [line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines]
    mistakes = mistakes_of(tmp_path, "\n".join(line for line in keys if not line.startswith("# ")))
    assert mistakes
    assert all("is not there" in mistake for mistake in mistakes), mistakes


def test_one_line_is_enough(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, 'data_dir = "var"'))
    assert config.data_dir == tmp_path / "var"
    assert config.http.loopback
    assert config.historian.kind == "duckdb"


def test_five_mistakes_come_in_one_message_with_their_keys(tmp_path: Path) -> None:
    text = """
    data_dir = "var"
    langauge = "zh"
    [broker]
    port = 99999
    [http]
    host = "0.0.0.0"
    [historian]
    kind = "oracle"
    [[receivers]]
    name = "park regulator"
    url = "https://regulator.example"
    secret_file = "nowhere"
    """
    mistakes = mistakes_of(tmp_path, text)
    for key in (
        "langauge",
        "broker.port",
        "http.host",
        "historian.kind",
        "receivers.0.name",
        "receivers.0.secret_file",
    ):
        assert any(key in mistake for mistake in mistakes), (key, mistakes)
    assert len(mistakes) == 6
    assert all("cloud.toml" in mistake for mistake in mistakes)


def test_it_refuses_to_listen_beyond_loopback_without_a_token(tmp_path: Path) -> None:
    text = 'data_dir = "var"\n[http]\nhost = "192.168.1.5"\n'
    assert "no token" in mistakes_of(tmp_path, text)[0]
    with_token = text + '[[tokens]]\nname = "duty"\nrole = "operator"\nhash = "$argon2id$x"\n'
    assert load_config(written(tmp_path, with_token)).tokens[0].role is Role.OPERATOR


def test_a_receiver_without_a_key_is_refused_because_notices_are_signed(tmp_path: Path) -> None:
    text = 'data_dir = "var"\n[[receivers]]\nname = "park"\nurl = "https://regulator.example"\n'
    assert "signed" in mistakes_of(tmp_path, text)[0]


def test_a_name_given_twice_is_a_mistake(tmp_path: Path) -> None:
    token = '[[tokens]]\nname = "duty"\nrole = "viewer"\nhash = "x"\n'
    assert "given twice" in mistakes_of(tmp_path, 'data_dir = "var"\n' + token + token)[0]


def test_influxdb_needs_an_address(tmp_path: Path) -> None:
    text = 'data_dir = "var"\n[historian]\nkind = "influxdb"\n'
    assert "needs url" in mistakes_of(tmp_path, text)[0]


def test_paths_start_at_the_files_own_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    text = 'data_dir = "../data"\n[broker]\npassword_file = "secret"\n'
    config = load_config(written(tmp_path, text))
    assert config.broker.password_file == tmp_path / "secret"
    assert config.data_dir == tmp_path / "../data"


def test_a_mask_over_a_ceiling_and_a_one_person_site_without_groups_are_mistakes_with_their_names(
    tmp_path: Path,
) -> None:
    text = """
    data_dir = "var"
    [[sites]]
    name = "mine"
    zh = "矿"
    en = "mine"
    one_person = true
    [[masks]]
    name = "blasting"
    hazard_source = "mine-1"
    zh = "爆破"
    en = "blasting"
    alarms = ["mine/edge-1/face/ch4#L2"]
    responsible = "Li Lei"
    """
    mistakes = "\n".join(mistakes_of(tmp_path, text))
    assert "would hide ceiling limits, which stay live: mine/edge-1/face/ch4#L2" in mistakes
    assert "one_person needs groups" in mistakes


def test_a_time_zone_nobody_knows_is_a_mistake_and_not_a_crash_later(tmp_path: Path) -> None:
    site = 'data_dir = "var"\n[[sites]]\nname = "p"\nzh = "园"\nen = "p"\ntimezone = "Asia/Shangai"'
    assert "no time zone is called 'Asia/Shangai'; write one as Asia/Shanghai" in mistakes_of(tmp_path, site)[0]


def test_without_sites_the_clock_is_that_of_a_site_which_says_nothing() -> None:
    site = SiteConfig(name="p", zh="园", en="p")
    assert clock_of(()) == clock_of((site,)) == ZoneInfo("Asia/Shanghai")
