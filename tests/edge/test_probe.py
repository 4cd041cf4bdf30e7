"""Looking at a live device's registers: every interpretation, over a real socket."""

import asyncio
import struct

import pytest
from davylamp_edge.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_edge.plan import parse_place
from davylamp_edge.probe import interpretations
from support.field import plc, registers


async def said_of(place: str, *more: str, **areas: list[int] | list[bool]) -> int:
    async with plc(**areas) as running:  # type: ignore[arg-type]  # each area takes its own kind
        return await asyncio.to_thread(main, ["probe", running.address, place, *more])


@pytest.mark.parametrize(
    ("order", "layout"),
    [("ABCD", ">f"), ("DCBA", "<f")],
)
async def test_the_right_order_is_starred(order: str, layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [int.from_bytes(struct.pack(layout, 62.25)[at : at + 2], "big") for at in (0, 2)]
    assert await said_of("holding:0", "--count", "2", holding=words) == OK
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "float32" in line)
    assert f"*{order} 62.25" in line
    assert line.count("*") == 1


async def test_a_register_is_shown_raw_signed_and_bit_by_bit(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("40002", "--count", "1", holding=[1, 65535]) == OK
    said = capsys.readouterr().out
    for part in ("holding:1", "0xFFFF", "uint16 65535", "int16 -1", "bits 1111111111111111"):
        assert part in said


async def test_coils_are_bits(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("coil:0", "--count", "3", coils=[True, False, True]) == OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:-1]] == [
        ["coil:0", "1"],
        ["coil:1", "0"],
        ["coil:2", "1"],
    ]


async def test_a_register_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("holding:9000", holding=[1]) == FAILED
    said = capsys.readouterr().err
    assert "illegal address" in said
    assert "ask for one with --count 1" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no address", "holding:0"], "rtu-tcp://host:4001"),
        (["127.0.0.1:502", "register 7"], "holding:0"),
        (["127.0.0.1:502", "61"], "holding:61 (counted from 0)"),
        (["127.0.0.1:502", "holding:0", "--count", "126"], "1 to 125"),
    ],
)
def test_what_cannot_be_asked_is_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", *arguments]) == BAD_INPUT
    assert says in capsys.readouterr().err


def test_eight_bytes_and_a_text_are_seen() -> None:
    lines = list(interpretations(parse_place("input:4"), struct.pack(">d", 101.325)))
    assert any("float64" in line and "*ABCD 101.325" in line for line in lines)
    words = b"".join(word.to_bytes(2, "big") for word in registers(">8s", b"GT-1101 "))  # type: ignore[arg-type]  # bytes
    assert any("string ABCD 'GT-1101'" in line for line in interpretations(parse_place("input:0"), words))


async def test_bytes_decimal_digits_and_swapped_bytes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("holding:0", "--count", "2", holding=[0x1234, 0x80FE]) == OK
    said = capsys.readouterr().out
    for part in (
        "uint16 4660    int16 4660    bcd16 1234",
        "BADC    uint16 13330   int16 13330   bcd16 3412",
        ".low uint8 52      int8 52       .high uint8 18      int8 18",
        ".low uint8 254     int8 -2       .high uint8 128     int8 -128",
        "uint16 33022   int16 -32514  bcd16 none",
    ):
        assert part in said
    assert "bcd32" not in said  # 80FE are no decimal digits in any order


async def test_decimal_digits_of_two_registers_are_shown_in_every_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("holding:0", "--count", "2", holding=[0x1234, 0x5678]) == OK
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "bcd32" in line)
    for part in ("ABCD 12345678", "DCBA 78563412", "BADC 34127856", "CDAB 56781234"):
        assert part in line


async def test_the_bits_a_profile_would_cut_out_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("holding:0.4-7", holding=[0x12A4]) == OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert lines == [
        ["holding:0.4-7", "uint16", "ABCD", "10", "DCBA", "1", "BADC", "1", "CDAB", "10"],
        ["holding:0.4-7", "int16", "ABCD", "-6", "DCBA", "1", "BADC", "1", "CDAB", "-6"],
    ]


async def test_bits_of_a_wide_value_ask_for_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said_of("holding:0.31", holding=[0x8000, 0x0000]) == OK
    (line,) = capsys.readouterr().out.splitlines()[:-1]
    assert line.split() == ["holding:0.31", "uint32", "ABCD", "1", "DCBA", "0", "BADC", "0", "CDAB", "0"]
