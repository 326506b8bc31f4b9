"""A place on loopback is kept, whether somebody listens there or not."""

from __future__ import annotations

import socket

import pytest

from simulator.served.place import Place

ADDRESS = "127.0.10.200"


def test_a_place_that_is_taken_is_nobody_elses_though_nobody_listens_there() -> None:
    place = Place(ADDRESS, 0)
    place.take()
    assert place.port != 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((ADDRESS, place.port))
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((ADDRESS, place.port))
    place.leave()
    with socket.socket() as other:
        other.bind((ADDRESS, place.port))


def test_its_server_listens_there_as_often_as_it_likes() -> None:
    place = Place(ADDRESS, 0)
    place.take()
    for _ in range(2):
        with place.bound() as listening:
            listening.listen()
            with socket.socket() as client:
                client.connect((ADDRESS, place.port))
                listening.accept()[0].close()
    place.leave()


def test_two_servers_at_one_place_are_an_error() -> None:
    place = Place(ADDRESS, 0)
    place.take()
    with place.bound() as listening:
        listening.listen()
        with pytest.raises(OSError, match="in use"):
            Place(ADDRESS, place.port).take()
    place.leave()
