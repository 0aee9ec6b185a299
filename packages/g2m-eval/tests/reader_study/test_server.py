"""What reaches a reader's browser, and what the server keeps of what comes back."""

import socket
import sqlite3
from importlib.resources import files

import numpy as np
import pytest
from starlette.testclient import TestClient

from g2m_eval.errors import InputError
from g2m_eval.reader_study.layout import ANSWERS, KEY, open_study, read_key
from g2m_eval.reader_study.server import create_app, listen
from g2m_eval.reader_study.store import AnswerStore


def answer(number, place, said, given_at=1000):
    return {"id": f"{number:032x}", "place": place, "answer": said, "given_at": given_at}


@pytest.fixture
def folder(make_study):
    return make_study(width_um=55.0)


@pytest.fixture
def client(folder):
    return TestClient(create_app(folder))


def test_all_images_look_alike_to_whoever_cannot_see_them(client, folder, token):
    key, order = read_key(folder)["images"], open_study(folder).orders["reader-01"]
    responses = [client.get(f"/r/{token(folder)}/images/{place}") for place in range(1, 13)]
    assert {key[name]["truth"] for name in order} == {"real", "generated"}
    assert all(response.status_code == 200 for response in responses)
    assert len({len(response.content) for response in responses}) == 1
    assert len({tuple(sorted(response.headers.multi_items())) for response in responses}) == 1
    assert not {"etag", "last-modified", "content-disposition"} & set(responses[0].headers)
    assert responses[0].headers["cache-control"] == "no-store"
    # the picture at each place of this reader is the one the key will be asked about
    assert [r.content for r in responses] == [(folder / "images" / f"{name}.png").read_bytes() for name in order]


def test_nothing_of_the_key_is_served(client, folder, token):
    base = f"/r/{token(folder)}"
    web = [f"/web/{name}" for name in ("study.css", "study.js", "outbox.js", "zoom.js")]
    pages = [client.get(path) for path in (base, f"{base}/state", *web)]
    assert all(page.status_code == 200 for page in pages)
    text = " ".join(page.text for page in pages)
    for name, entry in read_key(folder)["images"].items():
        assert name not in text
        assert entry["spot"] not in text
        assert entry["group"] not in text
    for path in (f"/{KEY}", f"/r/{KEY}", f"{base}/{KEY}", f"/web/{KEY}", "/web/..%2f..%2fkey.json", "/images/1", "/"):
        assert client.get(path).status_code == 404
    (folder / KEY).unlink()  # the server does without
    assert TestClient(create_app(folder)).get(base).status_code == 200


def test_page_loads_nothing_from_elsewhere(client, folder, token):
    page = client.get(f"/r/{token(folder)}")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    for asset in files("g2m_eval.reader_study").joinpath("web").iterdir():
        assert "://" not in asset.read_text(encoding="utf-8")


def test_unknown_links_and_places_are_not_found(client, folder, token):
    missing = client.get("/r/someone-else")
    assert missing.status_code == 404
    assert "not known here" in missing.text
    assert missing.headers["content-security-policy"]
    assert client.get("/r/someone-else/state").status_code == 404
    assert client.post("/r/someone-else/answers", json={"answers": []}).status_code == 404
    assert client.get(f"/r/{token(folder)}/images/0").status_code == 404
    assert client.get(f"/r/{token(folder)}/images/13").status_code == 404


def test_readers_see_only_their_own_answers(client, folder, token):
    client.post(f"/r/{token(folder)}/answers", json={"answers": [answer(1, 3, "real")]})
    mine = client.get(f"/r/{token(folder)}/state").json()
    assert mine["answers"] == [{"place": 3, "answer": "real", "given_at": 1000}]
    assert (mine["images"], mine["width_um"]) == (12, 55.0)
    assert client.get(f"/r/{token(folder, 1)}/state").json()["answers"] == []


def test_connection_dropped_after_the_answer_was_stored(client, folder, token):
    """The page never hears of it and sends again, with the next answer."""
    url = f"/r/{token(folder)}/answers"
    client.post(url, json={"answers": [answer(1, 1, "real")]})  # the reply is lost
    reply = client.post(url, json={"answers": [answer(1, 1, "real"), answer(2, 2, "generated")]}).json()
    assert reply["saved"] == [f"{1:032x}", f"{2:032x}"]
    assert len(AnswerStore(folder / ANSWERS).history()) == 2


def test_two_tabs_lose_nothing_and_agree(client, folder, token):
    url = f"/r/{token(folder)}/answers"
    other = TestClient(create_app(folder))  # a second server on the same file, even
    client.post(url, json={"answers": [answer(1, 1, "real", 1000)]})
    other.post(url, json={"answers": [answer(2, 2, "generated", 1001)]})
    late = client.post(url, json={"answers": [answer(3, 2, "real", 900)]}).json()  # waited for a connection
    changed = other.post(url, json={"answers": [answer(4, 1, "generated", 1002)]}).json()
    assert [entry["answer"] for entry in late["answers"]] == ["real", "generated"]
    assert [entry["answer"] for entry in changed["answers"]] == ["generated", "generated"]
    assert len(AnswerStore(folder / ANSWERS).history()) == 4


def test_answers_outlive_the_server(client, folder, token):
    client.post(f"/r/{token(folder)}/answers", json={"answers": [answer(1, 1, "real")]})
    state = TestClient(create_app(folder)).get(f"/r/{token(folder)}/state").json()
    assert state["answers"][0]["answer"] == "real"


def test_answer_is_not_confirmed_before_it_is_on_disk(client, folder, token, monkeypatch):
    def full(self, reader, answers):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(AnswerStore, "save", full)
    silent = TestClient(client.app, raise_server_exceptions=False)
    reply = silent.post(f"/r/{token(folder)}/answers", json={"answers": [answer(1, 1, "real")]})
    assert reply.status_code == 500


@pytest.mark.parametrize(
    "change",
    [
        {"place": 0},
        {"place": 13},
        {"place": True},
        {"answer": "perhaps"},
        {"id": "../../x"},
        {"given_at": "now"},
        {"id": 5},
    ],
)
def test_what_is_no_answer_is_refused(client, folder, token, change):
    entry = answer(1, 1, "real") | change
    reply = client.post(f"/r/{token(folder)}/answers", json={"answers": [answer(2, 2, "real"), entry]})
    assert reply.status_code == 422
    assert AnswerStore(folder / ANSWERS).history().empty


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"answers": 5}', b'{"answers": [1]}', b"null", b"[" * 300_000])
def test_what_is_no_json_of_answers_is_refused(client, folder, token, body):
    assert client.post(f"/r/{token(folder)}/answers", content=body).status_code == 422


def test_study_with_a_missing_picture_or_foreign_answers_is_not_served(make_study):
    folder = make_study()
    picture = folder / "images" / f"{open_study(folder).images[0]}.png"
    png = picture.read_bytes()
    picture.write_text("no picture")
    with pytest.raises(InputError, match="is no PNG"):
        create_app(folder)
    picture.unlink()
    with pytest.raises(InputError, match="a picture of the study is missing"):
        create_app(folder)
    assert not (folder / ANSWERS).exists()
    picture.write_bytes(png)
    (folder / ANSWERS).write_text("no database, but long enough to be taken for one" * 20)
    with pytest.raises(InputError, match="cannot be read as answers"):
        create_app(folder)


def test_enormous_requests_are_refused(client, folder, token):
    reply = client.post(f"/r/{token(folder)}/answers", content=b"x" * 1_000_001)
    assert reply.status_code == 413


def test_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"cannot listen on 127.0.0.1, port {port} \([^()]*\): name another --port"
        ):
            listen("127.0.0.1", port)


def test_order_says_nothing_about_truth(make_study):
    """Over many readers every place holds a real image about as often as a generated one."""
    folder = make_study("many", readers=400, pixels=4)
    key, orders = read_key(folder)["images"], open_study(folder).orders.values()
    real = np.array([[key[name]["truth"] == "real" for name in order] for order in orders])
    assert abs(real.mean(axis=0) - 0.5).max() < 0.125  # 5 standard errors
