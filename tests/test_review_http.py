"""Facts about the review server, asked over real HTTP: who gets in, and what is refused."""

import hashlib
import http.client
import json
import socket

import pytest

from stream.review.chain import read_chain
from stream.review.guard import MAX_BODY_BYTES, METHODS
from tests.review_sessions import make_session, reviewing

pytestmark = pytest.mark.timeout(120)
LABEL = json.dumps({"what": "label", "target": [0, 3], "value": "red"}).encode()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def review(session):
    with reviewing(session, "--reader", "anna") as review:
        review.wait_for("maps")
        yield review


def trail_of(session, reader):
    return session.with_name(f"{session.name}.review") / f"{reader}.jsonl"


def test_it_listens_on_the_loopback_only(review):
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    others = {address for address in others if ":" not in address and address != "127.0.0.1"}
    for address in others | {"127.0.0.2"}:
        with socket.socket() as caller:
            caller.settimeout(5)
            assert caller.connect_ex((address, review.port)) != 0


def test_the_token_becomes_a_strict_cookie_and_leaves_the_address(review):
    answer, page = review.ask("GET", f"/?token={review.token}", Cookie=None)
    assert (answer.status, b'url=/"' in page) == (200, True)
    cookie = answer.getheader("set-cookie")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert review.token not in cookie


@pytest.mark.parametrize("token", ["", "x", "A" * 43])
def test_a_wrong_token_opens_nothing(review, token):
    answer, _ = review.ask("GET", f"/?token={token}", Cookie=None)
    assert (answer.status, answer.getheader("set-cookie")) == (403, None)


@pytest.mark.parametrize(
    "path",
    ["/", "/static/main.js", "/api/clip", "/api/labels", "/api/progress", "/film/0", "/key/1"],
)
def test_nothing_is_answered_without_the_cookie(review, path):
    assert review.ask("GET", path, Cookie=None)[0].status == 403
    assert review.ask("GET", path, Cookie=f"sonostream-{review.port}=x")[0].status == 403
    assert review.ask("GET", path)[0].status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "evil.example:{port}"])
def test_a_name_that_was_bound_to_the_loopback_is_refused(review, host):
    assert review.ask("GET", "/api/clip", Host=host.format(port=review.port))[0].status == 421
    path = f"/?token={review.token}"
    assert review.ask("GET", path, Host=host.format(port=review.port))[0].status == 421


def test_the_page_may_load_only_from_here_and_run_nothing_inline(review):
    answer, page = review.ask("GET", "/")
    policy = answer.getheader("content-security-policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"style=" not in page
    assert b"onclick" not in page


def test_every_answer_carries_the_protecting_headers(review):
    for path, cookie in (("/", review.cookie), ("/film/0", review.cookie), ("/", None)):
        answer, _ = review.ask("GET", path, Cookie=cookie)
        assert answer.getheader("x-content-type-options") == "nosniff"
        assert answer.getheader("referrer-policy") == "no-referrer"
        assert answer.getheader("cache-control") == "no-store"
        assert answer.getheader("cross-origin-resource-policy") == "same-origin"
        assert answer.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Cookie": None},
    ],
)
def test_a_change_from_elsewhere_is_refused_and_leaves_no_record(review, session, changes):
    before = trail_of(session, "anna").read_bytes()
    assert review.ask("POST", "/api/actions", LABEL, **changes)[0].status == 403
    assert trail_of(session, "anna").read_bytes() == before


def test_a_form_cannot_send_an_action(review):
    kind = "application/x-www-form-urlencoded"
    assert review.ask("POST", "/api/actions", LABEL, Content_Type=kind)[0].status == 415


def test_another_site_cannot_even_load_a_picture(review):
    assert review.ask("GET", "/key/1", Sec_Fetch_Site="cross-site")[0].status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(review, method):
    assert method not in METHODS
    assert review.ask(method, "/api/actions")[0].status == 405


def test_a_body_beyond_the_limit_is_refused(review):
    body = b"[" * (MAX_BODY_BYTES + 1)
    assert review.ask("POST", "/api/actions", body)[0].status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 9000,
        b"\xff",
        b'{"what": "shutdown"}',
        b'{"what": "label", "target": [0, -1], "value": "red"}',
        b'{"what": "label", "target": [0], "value": "red"}',
        b'{"what": "label", "target": "0:1", "value": "red"}',
        b'{"what": "label", "target": [0, 99999999999999999999], "value": "red"}',
        b'{"what": "accept", "target": [0, 1], "path": "/etc/passwd"}',
        b'{"what": "note", "value": "' + b"x" * 2001 + b'"}',
    ],
)
def test_a_body_that_is_no_action_is_refused(review, body):
    assert review.ask("POST", "/api/actions", body)[0].status == 400


@pytest.mark.parametrize(
    ("what", "target", "value", "reason"),
    [
        ("label", (0, 70), "red", "not of this clip"),
        ("label", (1, 0), "red", "not of this clip"),
        ("label", (0, 1), "green", "not a class"),
        ("label", (0, 1), "", "not a class"),
        ("note", (7, 7), "x", "not of this clip"),
    ],
)
def test_an_action_that_cannot_be_is_refused_with_the_reason(review, what, target, value, reason):
    status, answer = review.act(what, target, value)
    assert status == 409
    assert reason in answer["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/film/../anna.jsonl",
        "/film/..%2fanna.jsonl",
        "/film/-1",
        "/film/x",
        "/anna.jsonl",
        "/key/0",
        "/key/-1",
        "/key/x",
        "/map/99",
        "/map/1e9",
    ],
)
def test_no_request_names_a_file(review, path):
    assert review.ask("GET", path)[0].status == 404


def test_a_piece_of_the_film_is_served_whole_and_one_that_is_not_there_is_not(review):
    answer, piece = review.ask("GET", "/film/1")
    assert (answer.status, answer.getheader("content-type")) == (200, "video/mp4")
    assert piece[4:8] == b"ftyp"
    last = json.loads(review.ask("GET", "/api/progress")[1])["pieces"][-1][1]
    assert [review.ask("GET", f"/film/{last + by}")[0].status for by in (0, 1, 9**20)] == [
        *(200, 404, 404)
    ]


@pytest.mark.parametrize("piece", ["-1", "x", "9" * 40, "%c2%b2", ""])
def test_a_piece_that_cannot_be_does_no_harm(review, piece):
    assert review.ask("GET", f"/api/progress?piece={piece}")[0].status == 200


def test_an_action_is_on_the_disk_when_it_is_answered(review, session):
    status, answer = review.act("label", (0, 3), "red")
    record = read_chain(trail_of(session, "anna")).records[-1]
    assert (status, answer["record"]["number"]) == (200, record.number)
    assert (record.target, record.new.label) == ((0, 3), "red")
    assert answer["labels"]["calls"]["0:3"] == {"decision": "labelled", "label": "red"}


def test_accepting_takes_the_label_that_the_model_gave_this_frame(review):
    assert review.act("accept", (0, 5))[1]["record"]["new"]["label"] == "blue"
    assert review.act("accept", (0, 69))[1]["record"]["new"]["label"] == "red"


def test_undo_restores_what_stood_before(review):
    review.act("label", (0, 8), "red")
    review.act("label", (0, 8), "blue")
    labels = review.act("undo")[1]["labels"]
    assert labels["calls"]["0:8"]["label"] == "red"
    assert "0:8" not in review.act("undo")[1]["labels"]["calls"]


def test_a_note_is_kept_and_an_empty_one_takes_it_away(review):
    assert review.act("note", None, " wide \n")[1]["labels"]["notes"] == {"clip": "wide"}
    assert review.act("note", None, " ")[1]["labels"]["notes"] == {}


def test_a_blind_reader_gets_nothing_that_the_model_said(session):
    with reviewing(session, "--reader", "blind", "--blind") as review:
        clip = json.loads(review.ask("GET", "/api/clip")[1])
        assert clip["said"] is None
        assert "red in" not in json.dumps(clip)
        assert [review.ask("GET", path)[0].status for path in ("/key/1", "/map/3")] == [404, 404]
        review.wait_for("film")
        status, answer = review.act("accept", (0, 3))
        assert (status, "blind" in answer["error"]) == (409, True)
        assert review.act("label", (0, 3), "blue")[0] == 200


def test_a_reader_sees_nothing_of_another(session, review):
    review.act("label", (0, 11), "red")
    review.act("note", (0, 11), "seen by anna")
    with reviewing(session, "--reader", "ben") as other:
        assert b"anna" not in b"".join(
            other.ask("GET", path)[1] for path in ("/api/labels", "/api/clip", "/api/progress")
        )
        assert json.loads(other.ask("GET", "/api/labels")[1])["calls"] == {}


def test_nothing_is_added_to_the_sealed_session(session, review):
    manifest = json.loads((session / "manifest.json").read_bytes())
    review.act("label", (0, 4), "red")
    found = {
        path.relative_to(session).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in session.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == manifest["files"]


def test_a_flood_of_headers_is_refused(review):
    with socket.create_connection(("127.0.0.1", review.port), timeout=10) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\n" + b"X-A: " + b"b" * (1 << 17))
        answer = http.client.HTTPResponse(caller)
        answer.begin()
        assert answer.status == 400
