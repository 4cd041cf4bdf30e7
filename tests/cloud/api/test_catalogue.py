"""The register the API keeps in memory is the one on disk, or there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from davylamp_cloud.api.catalogue import Catalogue
from davylamp_cloud.store.state import State
from davylamp_wire.point import COMM_OK
from sqlalchemy import Connection
from support.host import host
from support.speaker import Speaker, gas_point


def test_a_reading_that_failed_leaves_no_empty_register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker().birth())
        running.settle()
        catalogue = Catalogue(running.state)
        with monkeypatch.context() as broken:
            broken.setattr(State, "reading", _refused)
            for read in (catalogue.register, catalogue.devices):
                with pytest.raises(OSError, match="disk"):
                    read()
        assert "park/edge-1/store/gas" in catalogue.register().by_tag
        assert [device.device for device in catalogue.devices()] == ["store"]


def test_a_device_that_comes_while_the_register_is_read_is_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(tmp_path) as running:
        running.hear(*Speaker().birth())
        running.settle()
        catalogue = Catalogue(running.state)
        reading = State.reading

        @contextmanager
        def overtaken(state: State) -> Iterator[Connection]:
            with reading(state) as connection:
                yield connection
            catalogue.forget()

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(State, "reading", overtaken)
            assert len(catalogue.register().entries) == len(catalogue.devices()) == 1
        running.hear(*Speaker(node="edge-2").birth())
        running.settle()
        assert [device.node for device in catalogue.devices()] == ["park/edge-1", "park/edge-2"]
        assert len(catalogue.register().entries) == 2


def test_a_device_keeps_the_points_that_its_newest_birth_leaves_out(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        edge = Speaker(points={"gas": gas_point(), "spare": gas_point()})
        running.hear(*edge.birth())
        running.settle()
        edge.points = {"gas": gas_point(zh="氯气", plant_tag="2#AT-101"), "comm_ok": gas_point(limits={})}
        running.hear(*edge.birth())
        running.settle()
        (device,) = Catalogue(running.state).devices()
        names = [tag["point"] for tag in running.state.tags()]
        assert {names[idx] for idx in device.own} == {"gas", "spare"}
        assert device.comm == names.index(COMM_OK)


def _refused(_: State) -> None:
    raise OSError("the disk says no")
